"""What refusals advise: docs/refusals.md lists all of it, and it works."""

import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, TARGET
from tests.rotation import left_out
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training import hardware

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "refusals.md").read_text()
SETTINGS = re.findall(r"^\| `(unlearn\S*)` \| `(.+)` \| `(.+)` \|$", PAGE, re.MULTILINE)
ADVICE = re.compile(r"\b(?:choose|use|set|lower|give) ([\w.]+(?:=[\w.]+)?)")
REFUSING = ("InputError", "DivergedError", "EndedEarlyError", "InUseError", "NotWrittenError", "refuse_if", "require")


def settings(command: str, words: str) -> None:
    """Check the settings of a command line."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings_of(compose(command.removeprefix("unlearn-"), shlex.split(words)))


SIXTH = [pytest.param(*row, marks=left_out(place % 6 != 0)) for place, row in enumerate(SETTINGS)]
"""All rows of the page; every sixth one by default."""


@pytest.mark.parametrize(("command", "refused", "advised"), SIXTH)
def test_advice_about_settings_works(command: str, refused: str, advised: str) -> None:
    """The words are refused with this advice, and accepted together with it."""
    advice = advised.replace("FOLDER", str(TARGET))
    with pytest.raises(InputError, match=re.escape(advised.removesuffix("=FOLDER"))):
        settings(command, refused)
    settings(command, f"{refused} {advice}")


def advised_in(path: Path) -> set[str]:
    """Return what the refusals in a file advise, such as "scope=lora"."""
    found: set[str] = set()
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", None)) in REFUSING:
            for word in ast.walk(call):
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    found |= set(ADVICE.findall(word.value))
    return found


def test_the_page_has_all_advice() -> None:
    """Every setting that a refusal names after "choose", "set" and the like is in a table of the page."""
    found = {name for path in (ROOT / "unlearning").rglob("*.py") for name in advised_in(path)}
    named = {name for name in found if "=" in name or "." in name}
    assert {"scope=lora", "optimizer.lr", "model.allow_pickle=true"} <= named
    assert {name for name in named if name not in PAGE} == set()


@pytest.mark.parametrize(
    ("rows", "advised"),
    [((0, 4), "ratio.retain_per_forget=null"), ((4, 0), "ratio.retain_per_forget=0")],
    ids=["forget", "retain"],
)
def test_advice_about_a_set_without_rows_works(rows: tuple[int, int], advised: str) -> None:
    """The ratio that is advised gives a plan."""
    forget, retain = ([5] * number for number in rows)
    schedule = MixedSchedule(epochs=1, batch_rows=2)
    with pytest.raises(InputError, match=f"use {re.escape(advised)}$"):
        schedule.plan(forget, retain, 3, 0)
    assert schedule.plan(forget, retain, None if advised == "ratio.retain_per_forget=null" else 0, 0)


def test_advice_about_hardware_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is advised where a GPU or a compiler is missing needs neither."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    for wanted, advised in (
        (TrainerConfig(accelerator="gpu"), "trainer=auto"),
        (TrainerConfig(compile=True), "trainer.compile=false"),
    ):
        with pytest.raises(InputError, match=f"choose {re.escape(advised)}$"):
            hardware.require_hardware(wanted)
    hardware.require_hardware(TrainerConfig())
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match=r"choose trainer\.strategy=auto$"):
        hardware.require_hardware(TrainerConfig(strategy="fsdp", prefix_cache_gib=0))
    hardware.require_hardware(TrainerConfig(strategy="auto", prefix_cache_gib=0))


@pytest.mark.usefixtures("without_figures")
def test_a_run_that_diverged_goes_on_in_its_folder(tmp_path: Path) -> None:
    """A lower learning rate finishes the run that a huge one ended."""
    words = ["method=grad_diff", *SHORT, "logger=none", "save_model=false", "hydra.run.dir=run"]
    ended = run_command("unlearn", [*words, "optimizer.lr=1e30"], tmp_path)
    assert (ended.code, "; lower optimizer.lr or set objective.forget_ceiling_nats" in ended.err) == (1, True), (
        ended.err
    )
    ended = run_command("unlearn", [*words, "optimizer.lr=1e-5"], tmp_path)
    assert ended.code == 0, ended.err
    curve = (tmp_path / "run" / "loss_curve.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve[1:]] == ["0", "1"]
