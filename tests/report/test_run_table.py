"""Every run as a line of runs.csv."""

import csv
import json
from pathlib import Path

import pytest

from tests.report.fabricated import write_failed, write_run
from tests.report.fabricated_sweep import change_config, change_metrics
from unlearning.report.run_table import write_runs
from unlearning.report.runs import find_runs

RATES = (0.1 + 0.2, 1e-05, 3.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three finished runs of one method at three rates, the second without utility and stopped early, and a failed one
    of another method."""
    for seed, (rate, logger) in enumerate(zip(RATES, ("csv", "wandb", "none"), strict=True)):
        job = write_run(tmp_path / f"{seed}", "grad_ascent", seed, documents=1)
        change_config(job, "optimizer", lr=rate)
        change_config(job, "logger", kind=logger)
    change_metrics(tmp_path / "1", "unlearned", utility=None, final=None)
    change_metrics(tmp_path / "1", "training", stopped="collapse")
    write_failed(tmp_path / "3", error='out of memory, "2 GiB"\nof 1')
    return tmp_path


@pytest.fixture
def lines(folder: Path) -> list[dict[str, str]]:
    """Return the lines that are read back."""
    write_runs(folder / "runs.csv", find_runs(folder))
    with (folder / "runs.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_values_read_back_are_equal(folder: Path, lines: list[dict[str, str]]) -> None:
    """Metrics, settings and costs are read back to the last bit."""
    for seed, rate in enumerate(RATES):
        known = json.loads((folder / f"{seed}" / "metrics.json").read_text())
        line = lines[seed]
        assert (line["run"], line["state"], line["method"], line["seed"]) == (
            f"{seed}",
            "finished",
            "grad_ascent",
            f"{seed}",
        )
        assert float(line["optimizer.lr"]) == rate
        for key, value in known["unlearned"].items():
            assert line[key] == "" if value is None else float(line[key]) == value
        assert float(line["training_seconds"]) == known["training"]["seconds"]


def test_only_what_was_varied_has_a_column(lines: list[dict[str, str]]) -> None:
    """Neither names nor the logger count as varied; what is the same everywhere is left out."""
    settings = [key for key in lines[0] if "." in key]
    assert settings == ["optimizer.lr"]
    assert not {"name", "cache_dir", "optimized"} & set(lines[0])


def test_a_metric_that_is_missing_is_empty(lines: list[dict[str, str]]) -> None:
    """A missing number is empty; the run's other numbers are there."""
    assert (lines[1]["utility"], lines[1]["final"]) == ("", "")
    assert lines[1]["task_aggregate"] != ""
    assert lines[0]["utility"] != ""


def test_failed_and_stopped_runs_say_so(lines: list[dict[str, str]]) -> None:
    """A failed run has its settings and its error, and no numbers."""
    assert [line["state"] for line in lines] == ["finished"] * 3 + ["failed"]
    assert [line["stopped"] for line in lines] == ["", "collapse", "", ""]
    assert lines[3]["error"] == 'out of memory, "2 GiB"\nof 1'
    assert float(lines[3]["optimizer.lr"]) == 1e-05
    assert (lines[3]["final"], lines[3]["training_seconds"]) == ("", "")


def test_a_single_run_varies_nothing(tmp_path: Path) -> None:
    """The line of such a run has its metrics alone."""
    write_run(tmp_path / "one", "grad_ascent", 4, documents=1)
    write_runs(tmp_path / "runs.csv", find_runs(tmp_path))
    with (tmp_path / "runs.csv").open(newline="") as handle:
        (line,) = csv.DictReader(handle)
    assert not [key for key in line if "." in key]
    assert line["seed"] == "4"
