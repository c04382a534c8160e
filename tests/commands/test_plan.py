"""unlearn-plan from the command line, and what a run's memory has to do with it."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.command_line import run_command
from unlearning.commands.stages import planning
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.plan.machine import Machine

SMALL = ["data.max_documents_per_task=1", "logger=none", "trainer=cpu", "evaluation.max_questions=12"]


def machine(mib: float) -> Machine:
    """Return a machine of so much memory."""
    return Machine("a small one", "cpu", 1, mib * 2**20)


def unread(path: object, **_: Any) -> None:
    """Fail, since weights are read."""
    raise AssertionError(f"weights of {path} were read")


def test_a_plan_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs a folder with a configuration and a tokenizer, leaves no file, and counts what is trained."""
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", unread)
    for part in (AutoConfig, AutoTokenizer):
        part.from_pretrained(ASSETS / "target").save_pretrained(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    words = ["model=local", "model.path=./model", "method=layer_freeze_mlp_0_5", *SMALL]
    ended = run_command("plan", words, tmp_path)
    assert ended.code == 0, ended.err
    # Six MLPs of 3 * 128 * 384 weights.
    assert f"weights   {6 * 3 * 128 * 384:,} of 2,097,152 trained" in ended.out
    assert "steps     " in ended.out
    assert "unlearn: " in ended.out
    # To unlearn, and to score the target and the unlearned model: there is no retrained model.
    assert ended.out.count("no rate measured here yet") == 3
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.by_default("fits")
@pytest.mark.parametrize(
    ("mib", "words", "said"),
    [
        (2048, ["method=grad_diff"], None),
        (60, ["method=grad_diff"], "warning: memory: the run takes about"),
        (16, ["method=grad_diff"], "error: memory: weights, gradients and moments alone take 0.0312 GiB"),
        (16, ["method=grad_diff", "scope=lora"], "warning: memory: the run takes about"),
    ],
    ids=["fits", "hardly", "never", "adapters"],
)
def test_what_does_not_fit(
    mib: float, words: list[str], said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan says so in one line; it refuses only where weights, gradients and moments are too many."""
    monkeypatch.setattr(planning, "this_machine", lambda _: machine(mib))
    ended = run_command("plan", [*words, *SMALL], tmp_path)
    assert ended.code == int(said is not None and said.startswith("error"))
    if said is None:
        assert "memory: " not in ended.out + ended.err
    else:
        assert said in ended.out + ended.err


def test_a_run_that_never_fits_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before weights are read, with changes that make it fit."""
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", unread)
    monkeypatch.setattr(planning, "this_machine", lambda _: machine(31))
    words = ["method=grad_diff", "trainer.pack_tokens=2", "trainer.packs_per_forward=1", "evaluation.batch_tokens=1"]
    ended = run_command("unlearn", [*words, *SMALL], tmp_path)
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith("error: memory: weights, gradients and moments alone take")
    assert not any(tmp_path.iterdir())
    advised = line.partition("; set ")[2].split()
    assert 1 <= len(advised) <= 2
    ended = run_command("plan", [*words, *SMALL, *advised], tmp_path)
    assert (ended.code, "memory: " in ended.out) == (0, False), ended.out + ended.err
