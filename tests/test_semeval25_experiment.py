"""experiments/semeval25 on fewer rows: official rows and the OLMo tokenizer go through the three commands."""

import csv
import json
import os
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.command_line import run_command

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


def test_memorise_unlearn_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model memorises the rows and unlearns, and `unlearn-evaluate` finds the scores that its run measured."""
    # The commands run in another folder; a relative path to the data must lead to the same place from there.
    data = Path(os.environ["UNLEARNING_DATA"]).resolve()
    monkeypatch.setenv("UNLEARNING_DATA", os.path.relpath(data, tmp_path))

    def done(command: str, *overrides: str) -> Path:
        ended = run_command(command, [*SMALLER, *overrides], tmp_path)
        assert ended.code == 0, ended.err
        return tmp_path / overrides[-1].partition("=")[2]

    target = done("memorise", "model.path=null", f"hydra.run.dir={TARGET}")
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


def _memorised(run: Path) -> None:
    """Check that the loss fell, and that the folder has a model with the official tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    losses = curve(run, "retain_loss_nats")
    assert losses[0] > 10
    assert fmean(losses[-5:]) < 0.3 * losses[0]
    assert (run / "model" / "model.safetensors").exists()
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    assert (model.config.model_type, model.config.vocab_size) == ("olmo", 50_280)
    assert AutoTokenizer.from_pretrained(run / "model").eos_token_id == 50_279
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
    here, alone = (read(run / "evaluation_results.jsonl") for run in (unlearned, evaluated))
    assert here == alone
    assert {"forget-set", "retain-set", "mmlu_average", "aggregated-terms", "harmonic-mean-task-aggregate"} <= set(here)
    assert len(here["aggregated-terms"]) == 12
    # Without membership documents there is no whole score: the official evaluator's -1.
    assert here["aggregate-score"] == -1
