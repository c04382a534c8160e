"""experiments/semeval25 on fewer rows: official rows and the OLMo tokenizer go through the three commands.

By default for a step each; `-m exhaustive` trains until the model has memorised the rows and has forgotten them.
"""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.command_line import run_command
from tests.empty_figures import empty_figures

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif("UNLEARNING_DATA" not in os.environ, reason="UNLEARNING_DATA is not set: no official data"),
]
SMALLER = [
    "experiment=semeval25_small",
    "data.max_documents_per_task=1",
    # Three hundred documents take longer to score than all the rest; membership is tested elsewhere.
    "data.members=null",
    "data.nonmembers=null",
    "model.width=64",
    "trainer.packs_per_forward=1",
    "recipe.epochs=14",
    "recipe.batch_rows=4",
    "evaluation.max_questions=2",
    "evaluation.max_new_tokens=32",
    "logger=none",
]
TARGET, METHOD, EVALUATED = "outputs/semeval25/target", "outputs/semeval25/chunked_lora", "outputs/semeval25/evaluated"


def curve(run: Path, column: str) -> list[float]:
    """Return a column of a run's loss curve, steps without a value left out."""
    with (run / "loss_curve.csv").open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row[column]]


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that runs a command and returns its folder, which the last word names."""
    # The commands run in another folder; a relative path to the data must lead to the same place from there.
    data = Path(os.environ["UNLEARNING_DATA"]).resolve()
    monkeypatch.setenv("UNLEARNING_DATA", os.path.relpath(data, tmp_path))

    def run(command: str, *overrides: str) -> Path:
        with empty_figures():
            ended = run_command(command, [*SMALLER, *overrides], tmp_path)
        assert ended.code == 0, ended.err
        return tmp_path / overrides[-1].partition("=")[2]

    return run


def test_a_step_of_two_commands(done: Callable[..., Path]) -> None:
    """The target is an OLMo with the official tokenizer, and official rows are unlearned and scored."""
    short = ("trainer.max_steps=1", "evaluation.references=false", "evaluation.max_new_tokens=4")
    target = done("memorise", *short, "model.path=null", f"hydra.run.dir={TARGET}")
    _official_model(target)
    unlearned = done("unlearn", *short, "method=chunked_lora", f"hydra.run.dir={METHOD}")
    _official_record(unlearned)


@pytest.mark.exhaustive
def test_memorise_unlearn_evaluate(done: Callable[..., Path]) -> None:
    """The model memorises the rows and unlearns, and `unlearn-evaluate` finds the scores that its run measured."""
    target = done("memorise", "model.path=null", f"hydra.run.dir={TARGET}")
    _official_model(target)
    _memorised(target)
    unlearned = done(
        "unlearn",
        "method=chunked_lora",
        "optimizer.lr=2e-3",
        "optimizer.decay=constant",
        # Both sets whole in every step, so that the losses of two steps can be compared.
        "ratio=1to1",
        "schedule.chunk_rows=10",
        "schedule.batch_rows=20",
        "schedule.epochs=10",
        f"hydra.run.dir={METHOD}",
    )
    _forgot(unlearned)
    evaluated = done("evaluate", f"model.path={METHOD}/model", f"hydra.run.dir={EVALUATED}")
    _scored_alike(unlearned, evaluated)


def _official_model(run: Path) -> None:
    """Check that the folder has a model with the official tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert (run / "model" / "model.safetensors").exists()
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    assert (model.config.model_type, model.config.vocab_size) == ("olmo", 50_280)
    assert AutoTokenizer.from_pretrained(run / "model").eos_token_id == 50_279


def _memorised(run: Path) -> None:
    """Check that the loss fell, and that all rows were trained on."""
    losses = curve(run, "retain_loss_nats")
    assert losses[0] > 10
    assert fmean(losses[-5:]) < 0.3 * losses[0]
    record = read(run / "metrics.json")
    assert set(record) == {"memorised", "missing", "scorers", "training"}
    # One document a task: a completion each, one question of Task1 and Task3, five of Task2; in both sets.
    assert record["training"]["rows"] == 14 * 20


def _forgot(run: Path) -> None:
    """Check that the forget loss rose well above the retain loss, and that the folder has all results."""
    record = read(run / "metrics.json")
    assert {"unlearned", "target", "retrained", "missing", "training", "trace"} <= set(record)
    assert set(record["unlearned"]) == set(record["target"])
    forget, retain = curve(run, "forget_loss_nats"), curve(run, "retain_loss_nats")
    assert forget[-1] > forget[0] + 0.5
    assert retain[-1] < forget[-1] - 0.5
    assert record["training"]["trainable_parameters"] < 0.01 * record["training"]["parameters"]
    assert (run / "report.html").exists()


def _scored_alike(unlearned: Path, evaluated: Path) -> None:
    """Check that both folders have the same record of the official evaluator."""
    assert _official_record(unlearned) == _official_record(evaluated)


def _official_record(run: Path) -> dict[str, Any]:
    """Return the record of the official evaluator, after a check of what it holds."""
    record: dict[str, Any] = read(run / "evaluation_results.jsonl")
    assert {"forget-set", "retain-set", "mmlu_average", "aggregated-terms", "harmonic-mean-task-aggregate"} <= set(
        record
    )
    assert len(record["aggregated-terms"]) == 12
    # Without membership documents there is no whole score: the official evaluator's -1.
    assert record["aggregate-score"] == -1
    return record
