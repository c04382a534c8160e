"""The made-up runs are configured as real ones: the same keys, names that the schemas know, values in their ranges."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tests.report.fabricated import write_evaluated, write_failed, write_run
from tests.report.fabricated_config import METHODS
from tests.report.fabricated_sweep import RATES, add_troubles, make_sweep, write_job
from tests.report.fabricated_trace import COVERAGE, write_trace_run
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.errors import InputError
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.layers import read_layers
from unlearning.report.grouping import flatten
from unlearning.training.module import StepRecord
from unlearning.training.task import TrainingRecord

BESIDE_THE_RECORD = {"parameters", "trainable_parameters", "peak_memory_bytes"}
"""Of metrics.json's training, besides the fields of `TrainingRecord`."""


def composed(command: str, *words: str) -> DictConfig:
    """Return the configuration that a real command starts with."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(words))


def check(config: dict[str, Any], command: str, *words: str) -> None:
    """Fails where a real run of this command has other keys, or would refuse a value."""
    # The record of tuned values in a configuration depends on what the command line set itself.
    own = (word for name, given in METHODS.items() if f"method={name}" in words for word in given)
    real = composed(command, *words, *own)
    plain = yaml.safe_load(OmegaConf.to_yaml(real, resolve=True))
    assert set(flatten(config)) == set(flatten(plain))
    merged = OmegaConf.merge(real, config)
    assert isinstance(merged, DictConfig)
    settings_of(merged)
    # OmegaConf takes what it can convert, as the text "1e-5" for a number; a run writes the number.
    assert yaml.safe_load(OmegaConf.to_yaml(merged, resolve=True)) == config
    for part in ("objective", "scope", "schedule"):
        assert config.get(part, {}).get("_target_") == plain.get(part, {}).get("_target_")


def read(folder: Path) -> dict[str, Any]:
    """Return config.yaml of a run."""
    made: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    return made


@pytest.mark.by_default("layer_freeze")
@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_configured_as_its_method(method: str, tmp_path: Path) -> None:
    """This holds for a job of a sweep too, where numbers were changed."""
    check(read(write_run(tmp_path / "run", method, seed=2, documents=1)), "unlearn", f"method={method}")
    check(read(write_job(tmp_path / "job", method, RATES[1], 1)), "unlearn", f"method={method}")


def test_runs_of_other_commands_and_failed_ones(tmp_path: Path) -> None:
    """Each configuration has the keys of its command."""
    check(read(write_failed(tmp_path / "failed")), "unlearn", "method=grad_ascent")
    check(read(write_evaluated(tmp_path / "evaluated")), "evaluate", "model=olmo_1b")
    for config in ("grid", "plain"):
        check(read(write_trace_run(tmp_path / config, config)), "trace", "model=local", "model.path=anywhere")


@pytest.mark.exhaustive
def test_troubles_of_a_sweep(tmp_path: Path) -> None:
    """The first of them has another method's settings."""
    folder = add_troubles(make_sweep(tmp_path, seeds=1))
    for job in folder.glob("9?-grad_ascent"):
        config = read(job)
        check(config, "unlearn", f"method={config['method']}")


@pytest.mark.by_default("objective.wieght-1.0", "schedule.epochs-0")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.decay", "LINEAR"),
        ("optimizer.lr", "1e-5"),
        ("scope.modules", ["MLP"]),
        ("objective._target_", "unlearning.objectives.grad_ascent.GradAscent"),
        ("objective.wieght", 1.0),
        ("schedule.epochs", 0),
    ],
)
def test_a_drift_would_be_noticed(key: str, value: object, tmp_path: Path) -> None:
    """Names in another case, a number as text, a class and a key that do not exist, a value out of range."""
    config = read(write_run(tmp_path / "run", documents=1))
    part, _, name = key.partition(".")
    config[part][name] = value
    with pytest.raises((AssertionError, OmegaConfBaseException, InputError)):
        check(config, "unlearn", "method=layer_freeze")


def test_the_other_files_have_what_real_ones_have(tmp_path: Path) -> None:
    """Columns of the curve, keys of the training's record, evaluations that are read back whole, the trace as it was
    told."""
    folder = write_run(tmp_path / "run", documents=1)
    columns = (folder / "loss_curve.csv").read_text().splitlines()[0].split(",")
    assert columns == [field.name for field in fields(StepRecord)]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["training"]) == {field.name for field in fields(TrainingRecord)} | BESIDE_THE_RECORD
    for model in ("target", "retrained", "unlearned"):
        text = json.loads((folder / "evaluation" / f"{model}.json").read_text())
        assert EvaluationResult.from_json(text).to_json() == text
        assert set(METRICS) <= set(text["metrics"])
        assert metrics[model] == text["metrics"]
    selection = read_layers(folder / "layers.json", layers_total=8)
    assert metrics["trace"]["layers"] == list(selection.layers)
    assert read(folder)["trace"] == json.loads(json.dumps(asdict(COVERAGE)))
