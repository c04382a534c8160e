"""Tasks of lm-evaluation-harness: the call, the metrics made of its results, and refused input."""

import importlib.util
import json
import logging
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.command_line import run_command
from tests.evaluation.tiny import byte_model, byte_tokenizer, multiple_choice
from unlearning.config.evaluation import HarnessConfig
from unlearning.data.question_text import cloze_prompt
from unlearning.errors import InputError
from unlearning.evaluation.harness import by_task, harness_result, harness_scores, numbers
from unlearning.evaluation.multiple_choice import cloze_correct
from unlearning.evaluation.result import EvaluationResult, ItemScore

VALUES = {
    "alias": "rivers",
    "name": "rivers",
    "acc,none": 0.5,
    "acc_stderr,none": 0.25,
    "exact_match,strict": 1,
    "exact_match_stderr,strict": "N/A",
    "sample_len": 4,
}


class Fake(ModuleType):
    """A stand-in for lm_eval and its modules, which records how it was called."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__("lm_eval")
        self.__spec__ = ModuleSpec("lm_eval", None)
        self.failure = failure
        self.asked: dict[str, Any] = {}

    def HFLM(self, **words: Any) -> str:  # noqa: N802
        self.asked |= words
        return "the model"

    def TaskManager(self, **words: Any) -> "Fake":  # noqa: N802
        self.asked |= words
        return self

    def match_tasks(self, names: list[str]) -> list[str]:
        return [name for name in names if name in ("rivers", "x")]

    def simple_evaluate(self, **words: Any) -> dict[str, Any]:
        self.asked |= words
        self.asked["pretrained"].eval()
        if self.failure is not None:
            raise self.failure
        return {"results": {"rivers": VALUES}, "versions": {}}


def installed(monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> Fake:
    """Install the stand-in, and return it."""
    fake = Fake(failure)
    for name in ("lm_eval", "lm_eval.models", "lm_eval.models.huggingface", "lm_eval.tasks"):
        monkeypatch.setitem(sys.modules, name, fake)
    return fake


def test_what_is_asked_and_what_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness gets every setting, the model and no seeds; its numbers come back under its names."""
    fake = installed(monkeypatch)
    model, tokenizer = byte_model("olmo").train(), byte_tokenizer()
    config = HarnessConfig(["rivers"], str(tmp_path), num_fewshot=2, limit=7, batch_size=3)
    (score,) = harness_scores(config, model, tokenizer)
    expected = {"tasks": ["rivers"], "num_fewshot": 2, "limit": 7, "batch_size": 3, "include_path": str(tmp_path)}
    expected |= {"pretrained": model, "tokenizer": tokenizer, "model": "the model", "task_manager": fake}
    expected |= dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed"))
    assert {name: fake.asked[name] for name in expected} == expected
    assert score == ItemScore("harness", "rivers", {"acc": 0.5, "acc_stderr": 0.25, "exact_match,strict": 1.0})
    assert by_task(EvaluationResult(items={"harness": [score]})) == {"rivers": score.values}
    assert model.training


def test_numbers_leaves_out_what_is_none() -> None:
    """Names and unknown standard errors are no numbers."""
    assert numbers(VALUES) == {"acc": 0.5, "acc_stderr": 0.25, "exact_match,strict": 1.0}


def test_nothing_is_asked_without_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tasks the harness need not be installed."""
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert harness_scores(HarnessConfig(), byte_model("olmo"), byte_tokenizer()) == []
    assert by_task(EvaluationResult()) == {}


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (KeyError("Spec 'x' is not a registered task"), "tasks=[x]: Spec 'x' is not a registered task"),
        (ValueError("Attempted to run\nmore lines"), "tasks=[x]: Attempted to run"),
        (ConnectionError(), "tasks=[x]: ConnectionError"),
    ],
)
def test_what_the_harness_refuses_is_one_line(
    failure: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that the harness does not know, or whose data it cannot load, is refused in one line."""
    installed(monkeypatch, failure)
    model = byte_model("olmo").train()
    with pytest.raises(InputError) as error:
        harness_scores(HarnessConfig(["x"]), model, byte_tokenizer())
    assert str(error.value) == f"evaluation.harness.{message}"
    assert model.training


@pytest.mark.grid
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tasks=[arc_easy]"], "evaluation.harness.tasks=[arc_easy]: needs lm-evaluation-harness"),
        (["include_path=nowhere"], "evaluation.harness.include_path=nowhere: no such folder"),
        (["limit=0"], "evaluation.harness.limit=0: must be 1 or more, or null"),
        (["batch_size=0"], "evaluation.harness.batch_size=0: must be 1 or more"),
        (["num_fewshot=-1"], "evaluation.harness.num_fewshot=-1: must be 0 or more, or null"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", ["evaluate", "unlearn"])
def test_the_command_refuses_before_anything_slow(
    command: str, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with one line, which names the extra if it is missing."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "lm_eval" else found(name, *rest)
    )
    given = [f"evaluation.harness.{word}" for word in words]
    ended = run_command(command, ["logger=none", "trainer=cpu", *given], tmp_path)
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith(f"error: {message}")
    assert not any(tmp_path.iterdir())


def test_an_unknown_task_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness knows its tasks without a model, so nothing is computed before one is refused."""
    installed(monkeypatch)
    ended = run_command("evaluate", ["logger=none", "evaluation.harness.tasks=[rivers,lakes]"], tmp_path)
    assert ended.err.strip() == "error: evaluation.harness.tasks=[rivers,lakes]: the harness has no task lakes"
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("without_figures")
def test_the_command_writes_and_prints_what_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness's metrics are written beside the official score; they are measured anew in each run."""
    fake = installed(monkeypatch)
    words = ["logger=none", "trainer=cpu", "evaluation.references=false", "evaluation.max_new_tokens=2"]
    words += [
        "data.max_documents_per_task=1",
        "evaluation.max_questions=2",
        "evaluation.max_documents=2",
        "evaluation.harness.tasks=[rivers]",
    ]
    for run in ("first", "second"):
        fake.asked.clear()
        ended = run_command("evaluate", [*words, f"hydra.run.dir={run}"], tmp_path)
        assert ended.code == 0, ended.err
        assert fake.asked["tasks"] == ["rivers"]
        metrics = json.loads((tmp_path / run / "metrics.json").read_text())
        assert metrics["harness"] == {"sandbox": {"rivers": numbers(VALUES)}}
        assert metrics["sandbox"]["mia_auc"] is not None
        assert "rivers acc" in ended.out
    assert len(list((tmp_path / "outputs" / "cache" / "evaluations").iterdir())) == 1


TASK = """
task: places
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: answer
metric_list:
  - metric: acc_norm
"""


def write_task(folder: Path) -> None:
    """Write the tiny questions as a task in the harness's own format."""
    questions, _ = multiple_choice(12)
    items = [{"prompt": cloze_prompt(item), "options": item.options, "answer": item.answer} for item in questions]
    (folder / "places.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "places.yaml").write_text(TASK.format(data=folder / "places.jsonl"))


def test_the_real_harness_agrees_with_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness's acc_norm is the accuracy of our cloze format; the random state of PyTorch stays as it is."""
    pytest.importorskip("lm_eval", reason="the extra harness is not installed")
    # Those of commands that ran in this process write into folders that are gone.
    monkeypatch.setattr(logging.root, "handlers", [])
    write_task(tmp_path)
    model, tokenizer = byte_model("olmo", 3), byte_tokenizer()
    questions, _ = multiple_choice(12)
    right = cloze_correct(model, tokenizer, questions, 4000, lambda _: None)
    state = torch.get_rng_state()
    (score,) = harness_scores(HarnessConfig(["places"], str(tmp_path)), model, tokenizer)
    assert score.id == "places"
    assert score.values["acc_norm"] == pytest.approx(sum(right) / len(right))
    assert 0 < sum(right) < len(right)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(InputError, match=r"evaluation\.harness\.tasks=\[nonsense\]: .*nonsense"):
        harness_scores(HarnessConfig(["nonsense"]), model, tokenizer)


def test_standard_errors_make_intervals() -> None:
    """0.5 -+ 1.96 * 0.05 = 0.402 and 0.598; a filter's name comes after a comma, also in the error's name."""
    values = {"acc": 0.5, "acc_stderr": 0.05, "em,strict": 0.25, "em_stderr,strict": 0.1, "bleu": 12.0}
    found = harness_result(EvaluationResult(items={"harness": [ItemScore("harness", "arc", values)]}))
    assert found.metrics == {"arc acc": 0.5, "arc em,strict": 0.25, "arc bleu": 12.0}
    assert found.intervals["arc acc"] == pytest.approx([0.402, 0.598])
    assert found.intervals["arc em,strict"] == pytest.approx([0.054, 0.446])
    assert "arc bleu" not in found.intervals
