"""The table of a comparison as CSV and as LaTeX, and every run as a line of runs.csv."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.fabricated import write_failed, write_run
from tests.report.fabricated_sweep import change_config, change_metrics
from unlearning.config.report import SelectConfig
from unlearning.report.comparison_row import COLUMNS
from unlearning.report.comparison_table import write_latex, write_runs, write_table
from unlearning.report.runs import find_runs
from unlearning.report.statistic import number_with_ends
from unlearning.report.summary import Section, summarise

RATES = (0.1 + 0.2, 1e-05, 3.0)


def test_csv_holds_the_same_numbers(compared: Path, tmp_path: Path) -> None:
    """The file has mean, range and interval of each number, and what is marked."""
    summary = summarise(find_runs(compared), SelectConfig())
    rows = summary.sections[0].rows
    write_table(tmp_path / "table.csv", summary)
    with (tmp_path / "table.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert [line["model"] for line in lines] == [row.label for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert (int(line["best"]), int(line["selected"])) == (row.best, row.selected)
        assert (int(line["runs"]), int(line["seeds"])) == (len(row.runs), row.seeds)
        for column in COLUMNS:
            value = row.values.get(column.key)
            ends = value.interval if value and value.interval else ("", "")
            assert line[column.key] == ("" if value is None else repr(value.mean))
            assert line[f"{column.key}_max"] == ("" if value is None else repr(value.high))
            assert (line[f"{column.key}_low_95"], line[f"{column.key}_high_95"]) == tuple(map(str, ends))
    seeds = next(line for line in lines if line["model"] == "layer_freeze")
    assert seeds["seeds"] == "3"
    assert seeds["final_low_95"] == ""
    assert float(seeds["final_min"]) < float(seeds["final"]) < float(seeds["final_max"])
    fronts = [{line["model"] for line in lines if line[key] == "1"} for key in ("front_retain", "front_utility")]
    assert all(fronts)
    assert "retrained model" not in fronts[0] | fronts[1]


def test_latex_has_the_numbers_and_what_stands_around_them(compared: Path, tmp_path: Path) -> None:
    """A tabular a setting, a line a model, every character of a label printed as it is."""
    summary = summarise(find_runs(compared))
    (section,) = summary.sections
    odd = replace(section.rows[-1], label="50% & $5_#1")
    write_latex(tmp_path / "table.tex", replace(summary, sections=(section, Section("two", (odd,)))))
    first, second = (tmp_path / "table.tex").read_text().split("% two")
    lines = [line.removesuffix(r" \\").split(" & ") for line in first.split("\n") if " & " in line]
    assert lines[0][:2] == ["Model", "n"]
    for line, row in zip(lines[1:], section.rows, strict=True):
        assert (line[0], line[1]) == (row.label.replace("_", r"\_"), str(row.seeds))
        shown = [number_with_ends(row.values.get(column.key), column.key) for column in COLUMNS]
        assert [cell.strip() for cell in line[2:]] == shown
    assert r"50\% \& \$5\_\#1 & 3 &" in second


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished runs of one method at three rates, the second without utility and stopped early, and a failed one
    of another method."""
    made = tmp_path_factory.mktemp("runs")
    for seed, (rate, logger) in enumerate(zip(RATES, ("csv", "wandb", "none"), strict=True)):
        job = write_run(made / f"{seed}", "grad_ascent", seed, documents=1)
        change_config(job, "optimizer", lr=rate)
        change_config(job, "logger", kind=logger)
    change_metrics(made / "1", "unlearned", utility=None, final=None)
    change_metrics(made / "1", "training", stopped="collapse")
    write_failed(made / "3", error='out of memory, "2 GiB"\nof 1')
    return made


@pytest.fixture(scope="module")
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
