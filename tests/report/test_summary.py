"""Grouping, reducing, and the table in its three dresses."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml
from rich.console import Console

from unlearning.report.grouping import group_runs
from unlearning.report.runs import find_runs
from unlearning.report.summary import COLUMNS, number, statistic, summarise, write_table
from unlearning.report.table import print_comparison


def _change(folder: Path, **settings: Any) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for key, value in settings.items():
        part, _, name = key.partition("__")
        if name:
            config[part][name] = value
        else:
            config[part] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _printed(folder: Path, width: int) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_comparison(find_runs(folder), console)
    return console.export_text()


def test_numbers_are_those_of_the_runs(runs_dir: Path) -> None:
    rows = {row.label: row for row in summarise(find_runs(runs_dir)).sections[0].rows}
    assert list(rows) == ["untouched target", "gold model", "chunked_lora", "grad_ascent", "layer_freeze"]
    read = json.loads((runs_dir / "chunked_lora" / "metrics.json").read_text())
    for column in COLUMNS[:-1]:
        for label, model in (("untouched target", "target"), ("gold model", "gold"), ("chunked_lora", "unlearned")):
            value = rows[label].values[column.key]
            assert value is not None
            assert value.mean == read[model][column.key]
    seconds = rows["layer_freeze"].values["seconds"]
    assert seconds is not None
    assert (seconds.low, seconds.mean, seconds.high, seconds.n) == (61.5, 68.5, 75.5, 3)
    assert rows["untouched target"].values["seconds"] is None


def test_seeds_are_reduced_to_mean_and_range(runs_dir: Path) -> None:
    finals = [
        json.loads((runs_dir / "layer_freeze" / f"seed{seed}" / "metrics.json").read_text())["unlearned"]["final"]
        for seed in range(3)
    ]
    row = summarise(find_runs(runs_dir)).sections[0].rows[-1]
    value = row.values["final"]
    assert value is not None
    assert row.n == 3
    assert (value.low, value.high) == (min(finals), max(finals))
    assert value.mean == pytest.approx(fmean(finals))


def test_best_final_score_is_marked_once(runs_dir: Path) -> None:
    rows = [row for row in summarise(find_runs(runs_dir)).sections[0].rows if row.role == "method"]
    best = max(rows, key=lambda row: value.mean if (value := row.values["final"]) else 0.0)
    assert [row.label for row in rows if row.best] == [best.label]


def test_statistic_leaves_out_what_is_missing() -> None:
    value = statistic([None, 1.0, 3.0])
    assert value is not None
    assert (value.mean, value.low, value.high, value.n) == (2.0, 1.0, 3.0, 2)
    assert statistic([None]) is None


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [(None, "final", "-"), (0.70649, "final", "0.706"), (61.5, "seconds", "62"), (1234.0, "seconds", "1,234")],
)
def test_number(value: float | None, key: str, text: str) -> None:
    assert number(value, key) == text


def test_runs_that_differ_in_the_seed_and_the_hardware_are_one_group(runs_dir: Path) -> None:
    _change(runs_dir / "layer_freeze" / "seed1", trainer={"accelerator": "gpu"}, name="another")
    groups = group_runs(find_runs(runs_dir))[0].groups
    assert [(group.label, len(group.runs)) for group in groups][-1] == ("layer_freeze", 3)
    finals = [run.metrics["final"] for run in groups[-1].runs]
    assert groups[-1].representative.metrics["final"] == sorted(finals)[1]  # type: ignore[type-var]


def test_variants_of_a_method_are_told_apart_by_what_differs(runs_dir: Path) -> None:
    _change(runs_dir / "layer_freeze" / "seed1", ratio__retain_per_forget=2)
    _change(runs_dir / "layer_freeze" / "seed2", objective={"_target_": "unlearning.objectives.grad_diff.GradDiff"})
    labels = [group.label for group in group_runs(find_runs(runs_dir))[0].groups]
    assert labels[2:] == [
        "layer_freeze, objective=AdaptiveGradDiff, retain_per_forget=2",
        "layer_freeze, objective=AdaptiveGradDiff, retain_per_forget=null",
        "layer_freeze, objective=GradDiff, retain_per_forget=null",
    ]


def test_other_data_is_another_table(runs_dir: Path) -> None:
    _change(runs_dir / "grad_ascent", data__source="LUME")
    assert [section.title for section in summarise(find_runs(runs_dir)).sections] == [
        "sandbox-olmo on sandbox",
        "sandbox-olmo on lume",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_terminal_table_shows_every_number_at_any_width(runs_dir: Path, width: int) -> None:
    text = _printed(runs_dir, width)
    for row in summarise(find_runs(runs_dir)).sections[0].rows:
        line = next(line for line in text.splitlines() if line.startswith(row.label.split()[0]))
        numbers = [number(value.mean, column.key) for column in COLUMNS if (value := row.values[column.key])]
        assert line.replace("*", "").split()[-len(numbers) :] == numbers
    assert "failed failed: out of memory [2 GiB]" in text
    assert "lowest" in text


def test_missing_numbers_are_dashes_with_a_reason(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "runs" / "one", documents=2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["unlearned"] |= {"utility": None, "final": None}
    metrics["missing"] = ["utility: no questions given"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = _printed(tmp_path / "runs", 100)
    line = next(line for line in text.splitlines() if line.startswith("layer_freeze"))
    assert line.split().count("-") == 2
    assert "- not measured: utility: no questions given." in text


def test_csv_holds_the_same_numbers(runs_dir: Path, tmp_path: Path) -> None:
    summary = summarise(find_runs(runs_dir))
    write_table(tmp_path / "table.csv", summary)
    with (tmp_path / "table.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert [line["model"] for line in lines] == [row.label for row in summary.sections[0].rows]
    for line, row in zip(lines, summary.sections[0].rows, strict=True):
        for column in COLUMNS:
            value = row.values[column.key]
            assert line[column.key] == ("" if value is None else repr(value.mean))
            assert line[f"{column.key}_max"] == ("" if value is None else repr(value.high))
