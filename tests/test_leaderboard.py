"""Tests of experiments/semeval_leaderboard: rows have a configuration for both sizes, most have a published line."""

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from experiments.semeval_leaderboard import row as leaderboard
from unlearning.config.commands import UnlearnConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "experiments" / "semeval_leaderboard"
FILES = sorted(path.stem for path in (ROOT / "conf" / "experiment" / "leaderboard").glob("*.yaml"))


def lines() -> list[dict[str, str]]:
    """Return the lines of published.csv."""
    with (FOLDER / "published.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@cache
def settings(*words: str) -> UnlearnConfig:
    """Return the checked settings of `unlearn`."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        made = settings_of(compose("unlearn", list(words)))
    assert isinstance(made, UnlearnConfig)
    return made


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line['model']}-{line['name']}")
def test_a_published_final_score_is_the_mean_of_its_parts(line: dict[str, str]) -> None:
    """The mean holds to the third digit; the parts were rounded, and some final scores were cut off."""
    parts = [float(line[key]) for key in ("task_aggregate", "mia_score", "utility")]
    assert float(line["final"]) == pytest.approx(sum(parts) / 3, abs=1.5e-3)


def test_every_row_has_a_configuration_and_every_configuration_a_row() -> None:
    """ZJUKLAB's row is two runs that are merged; every other row is one run."""
    assert set(FILES) == (set(leaderboard.NAMES) - {"zjuklab"}) | {"zjuklab_over", "zjuklab_under"}


@pytest.mark.grid
@pytest.mark.parametrize("model", leaderboard.MODELS)
@pytest.mark.parametrize("row", FILES)
def test_every_configuration_composes(row: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row composes from the command line, and its name says row and model."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    assert settings(f"experiment=leaderboard/{row}", f"model={model}").name == f"{row}_{model}"


# What the rows set: the method, lr, epochs, rows a step, weight decay, chat template, layers and seconds. Precision,
# sharding, packs a forward pass and gradient checkpointing depend on the size.
WHOLE: dict[str, tuple[str, str, int, bool]] = {
    "olmo_1b": ("auto", "auto", 4, False),
    "olmo_7b": ("fsdp", "bf16-mixed", 1, True),
}
ADAPTERS: dict[str, tuple[str, str, int, bool]] = {
    "olmo_1b": ("auto", "auto", 4, False),
    "olmo_7b": ("auto", "auto", 1, True),
}
RELEASED: dict[str, tuple[str, str, int, bool]] = {
    "olmo_1b": ("auto", "bf16-true", 4, False),
    "olmo_7b": ("auto", "bf16-true", 1, True),
}
METHODS: dict[str, tuple[str, float, float, int, int, str]] = {
    "ails_ntua": ("chunked_last_k", 1e-5, 0.0, 7, 8, "-8:"),
    "atyaephyra": ("atyaephyra", 1e-4, 0.0, 20, 4, "all"),
    "grad_ascent": ("grad_ascent", 1e-5, 0.0, 10, 32, ""),
    "grad_diff": ("grad_diff", 1e-5, 0.0, 10, 64, ""),
    "kl_min": ("kl_min", 1e-5, 0.0, 10, 64, ""),
    "npo": ("npo", 1e-5, 0.01, 10, 64, ""),
    "sha256": ("layer_freeze_released", 1.5e-5, 0.0, 8, 120, "0-5"),
    "zjuklab_over": ("zjuklab_over", 1e-4, 0.01, 5, 8, "all"),
    "zjuklab_under": ("zjuklab_under", 1e-4, 0.01, 5, 16, "all"),
}
"""Row -> method, learning rate, weight decay, epochs, rows of a step, layers; the same for both sizes."""


@pytest.mark.grid
@pytest.mark.parametrize("model", leaderboard.MODELS)
@pytest.mark.parametrize("row", METHODS)
def test_numbers_of_a_row(row: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method's numbers are the same for both sizes."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    made = settings(f"experiment=leaderboard/{row}", f"model={model}")
    method, lr, decay, epochs, batch_rows, layers = METHODS[row]
    assert (made.method, made.optimizer.lr, made.optimizer.weight_decay) == (method, lr, decay)
    assert (made.schedule.epochs, made.schedule.batch_rows) == (epochs, batch_rows)
    assert getattr(made.scope, "layers", "") == layers
    assert (made.stopping.max_seconds, made.model.name) == (None, model)
    assert made.prompt.style == ("chat" if (row, model) == ("sha256", "olmo_7b") else "raw")


@pytest.mark.parametrize(
    ("model", "layer", "coefficient", "layers", "batch_rows"),
    [("olmo_1b", 14, 3.0, "12-14", 16), ("olmo_7b", 26, 5.0, "24-26", 24)],
)
def test_numbers_of_snuffleupagus(
    model: str, layer: int, coefficient: float, layers: str, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mr. Snuffleupagus published numbers of its own for each size."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    made: Any = settings("experiment=leaderboard/snuffleupagus", f"model={model}")
    assert (made.method, made.optimizer.lr, made.optimizer.decay) == ("adaptive_rmu", 5e-5, "constant")
    assert (made.objective.layer, made.objective.coefficient, made.objective.alpha) == (layer, coefficient, 900.0)
    assert made.objective.adaptive
    assert (made.scope.layers, made.scope.modules) == (layers, ["mlp"])
    assert (made.schedule.epochs, made.schedule.batch_rows) == (100, batch_rows)
    assert made.stopping.max_seconds == 3000


HARDWARE = dict.fromkeys(("ails_ntua", "grad_ascent", "grad_diff", "kl_min", "npo", "snuffleupagus"), WHOLE)
HARDWARE |= dict.fromkeys(("atyaephyra", "zjuklab_over", "zjuklab_under"), ADAPTERS) | {"sha256": RELEASED}


@pytest.mark.parametrize("model", leaderboard.MODELS)
@pytest.mark.parametrize("row", FILES)
def test_hardware_of_a_row(row: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything runs on GPUs with packs of 2,048 tokens; sharding and memory depend on the size."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    trainer = settings(f"experiment=leaderboard/{row}", f"model={model}").trainer
    strategy, precision, packs, checkpointing = HARDWARE[row][model]
    assert (trainer.strategy, trainer.precision) == (strategy, precision)
    assert (trainer.packs_per_forward, trainer.gradient_checkpointing) == (packs, checkpointing)
    sharded = strategy == "fsdp"
    assert (trainer.devices, trainer.prefix_cache_gib) == (("auto", 0.0) if sharded else ("1", 4.0))
    assert (trainer.accelerator, trainer.pack_tokens) == ("gpu", 2048)


def test_the_command_line_beats_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that is chosen on the command line is taken whole, and so is an objective."""
    monkeypatch.setenv("UNLEARNING_DATA", "data")
    made = settings("experiment=leaderboard/snuffleupagus", "model=olmo_7b", "trainer=gpu", "objective=npo")
    assert (made.trainer.strategy, made.trainer.packs_per_forward) == ("auto", 4)
    assert made.objective._target_ == "unlearning.objectives.npo.NPO"


def test_only_the_baselines_at_1b_were_never_published() -> None:
    """Every other row has its line for each size."""
    without = [
        (name, model)
        for model, size in leaderboard.MODELS.items()
        for name, title in leaderboard.NAMES.items()
        if not leaderboard.published(title, size)
    ]
    assert without == [(name, "olmo_1b") for name in ("grad_ascent", "grad_diff", "kl_min", "npo")]


def test_a_row_runs_its_experiment_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is the experiment with the overrides, and both columns are printed."""
    asked = []

    def pretended(command: str, words: list[str], out: Path) -> None:
        asked.append((command, words, out))
        out.mkdir(parents=True)
        numbers = {"final": 0.7, "task_aggregate": 0.9, "mia_score": 0.8, "utility": None}
        (out / "metrics.json").write_text(json.dumps({"unlearned": numbers}))

    monkeypatch.setattr(leaderboard, "run", pretended)
    leaderboard.main("sha256", "olmo_7b", tmp_path, ["trainer=gpu"])
    words = ["experiment=leaderboard/sha256", "model=olmo_7b", "trainer=gpu"]
    assert asked == [("unlearn", words, tmp_path / "sha256_olmo_7b")]
    shown = capsys.readouterr().out
    assert "0.700" in shown
    assert "0.711" in shown
    leaderboard.main("zjuklab", "olmo_1b", tmp_path, [])
    assert [command for command, _, _ in asked[1:]] == ["unlearn", "unlearn", "unlearn-merge"]
    assert [words[:2] for _, words, _ in asked[1:3]] == [
        [f"experiment=leaderboard/zjuklab_{part}", "model=olmo_1b"] for part in ("over", "under")
    ]
    assert asked[-1][2] == tmp_path / "zjuklab_olmo_1b"


def test_a_comparison_says_what_is_missing() -> None:
    """A part that was not measured and a row that was not published are a dash."""
    console = Console(record=True, width=80)
    console.print(leaderboard.comparison("npo_olmo_1b", dict.fromkeys(leaderboard.KEYS), {}))
    assert console.export_text().count("-") >= 8
