"""Grouping, reducing, and the table in the terminal."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml
from rich.console import Console

from tests.report.fabricated import write_failed
from unlearning.commands.comparison import broken_at_joints, print_comparison, unfinished_line
from unlearning.config.report import ConstraintConfig, SelectConfig
from unlearning.errors import InputError
from unlearning.report.comparison_row import COLUMNS, ComparisonRow
from unlearning.report.runs import find_runs
from unlearning.report.statistic import Statistic, around, number
from unlearning.report.summary import summarise


def _change(folder: Path, **settings: Any) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for key, value in settings.items():
        part, _, name = key.partition("__")
        if name:
            config[part][name] = value
        else:
            config[part] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _methods(folder: Path) -> tuple[ComparisonRow, ...]:
    return tuple(row for row in summarise(find_runs(folder)).sections[0].rows if row.role == "method")


def _printed(folder: Path, width: int, select: SelectConfig | None = None) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_comparison(summarise(find_runs(folder), select), console)
    return console.export_text()


def test_numbers_are_those_of_the_runs(compared: Path) -> None:
    rows = {row.label: row for row in summarise(find_runs(compared)).sections[0].rows}
    assert list(rows) == ["untouched target", "retrained model", "chunked_lora", "grad_ascent", "layer_freeze"]
    read = json.loads((compared / "chunked_lora" / "metrics.json").read_text())
    for column in COLUMNS[:-1]:
        for label, model in (
            ("untouched target", "target"),
            ("retrained model", "retrained"),
            ("chunked_lora", "unlearned"),
        ):
            value = rows[label].values[column.key]
            assert value is not None
            assert value.mean == read[model][column.key]
    seconds = rows["layer_freeze"].values["seconds"]
    assert seconds is not None
    assert (seconds.low, seconds.mean, seconds.high, seconds.n) == (61.5, 68.5, 75.5, 3)
    assert seconds.interval is None
    assert "seconds" not in rows["untouched target"].values


def test_seeds_are_reduced_to_mean_and_range(compared: Path) -> None:
    finals = [
        json.loads((compared / "layer_freeze" / f"seed{seed}" / "metrics.json").read_text())["unlearned"]["final"]
        for seed in range(3)
    ]
    row = summarise(find_runs(compared)).sections[0].rows[-1]
    value = row.values["final"]
    assert value is not None
    assert len(row.runs) == 3
    assert (value.low, value.high) == (min(finals), max(finals))
    assert value.mean == pytest.approx(fmean(finals))


def test_best_final_score_is_marked_once(compared: Path) -> None:
    rows = [row for row in summarise(find_runs(compared)).sections[0].rows if row.role == "method"]
    best = max(rows, key=lambda row: value.mean if (value := row.values["final"]) else 0.0)
    assert [row.label for row in rows if row.best] == [best.label]


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [(None, "final", "-"), (0.70649, "final", "0.706"), (61.5, "seconds", "62"), (1234.0, "seconds", "1,234")],
)
def test_number(value: float | None, key: str, text: str) -> None:
    assert number(value, key) == text


def test_runs_that_differ_in_the_seed_and_the_hardware_are_one_group(runs_dir: Path) -> None:
    _change(runs_dir / "layer_freeze" / "seed1", trainer={"accelerator": "gpu"}, name="another")
    groups = _methods(runs_dir)
    assert [(group.label, len(group.runs)) for group in groups][-1] == ("layer_freeze", 3)
    finals = [run.metrics["final"] for run in groups[-1].runs]
    assert groups[-1].representative.metrics["final"] == sorted(finals)[1]  # type: ignore[type-var]


def test_variants_of_a_method_are_told_apart_by_what_differs(runs_dir: Path) -> None:
    _change(runs_dir / "layer_freeze" / "seed1", ratio__retain_per_forget=2)
    _change(runs_dir / "layer_freeze" / "seed2", objective={"_target_": "unlearning.objectives.grad_diff.GradDiff"})
    labels = [group.label for group in _methods(runs_dir)]
    assert labels[2:] == [
        "layer_freeze, objective=AdaptiveGradDiff, retain_per_forget=2",
        "layer_freeze, objective=AdaptiveGradDiff, retain_per_forget=null",
        "layer_freeze, objective=GradDiff, retain_per_forget=null",
    ]


def test_what_is_always_so_with_an_objective_is_not_said_beside_its_name(runs_dir: Path) -> None:
    """Two retain weights of one objective need their number; the other objective's own numbers, and one that all of
    an objective's runs share, do not."""
    plain = {"_target_": "unlearning.objectives.grad_diff.GradDiff", "forget_weight": 1.0}
    _change(runs_dir / "layer_freeze" / "seed1", objective={**plain, "retain_weight": 1.2})
    _change(runs_dir / "layer_freeze" / "seed2", objective={**plain, "retain_weight": 2.8})
    groups = _methods(runs_dir)
    weight = {run.config["objective"].get("retain_weight") for run in groups[2].runs}
    assert [group.label for group in groups[2:]] == [
        f"layer_freeze, objective=AdaptiveGradDiff, retain_weight={weight.pop()}",
        "layer_freeze, objective=GradDiff, retain_weight=1.2",
        "layer_freeze, objective=GradDiff, retain_weight=2.8",
    ]


def test_other_data_is_another_table(runs_dir: Path) -> None:
    _change(runs_dir / "grad_ascent", data___target_="unlearning.data.semeval.SemevalReader")
    assert [section.title for section in summarise(find_runs(runs_dir)).sections] == [
        "sandbox on sandbox",
        "sandbox on semeval",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_terminal_table_shows_every_number_at_any_width(compared: Path, width: int) -> None:
    text = _printed(compared, width)
    for row in summarise(find_runs(compared)).sections[0].rows:
        line = next(line for line in text.splitlines() if line.startswith(row.label.split()[0]))
        numbers = [number(value.mean, column.key) for column in COLUMNS if (value := row.values.get(column.key))]
        assert line.replace("*", "").split()[-len(numbers) :] == numbers
    assert "failed failed: out of memory [2 GiB]" in text
    seeds = next(row for row in summarise(find_runs(compared)).sections[0].rows if len(row.runs) == 3)
    for name, end in (("  least", "low"), ("  greatest", "high")):
        ends = next(line for line in text.splitlines() if line.startswith(name))
        found = [getattr(value, end) for column in COLUMNS if (value := seeds.values[column.key])]
        assert ends.split()[1:] == [number(v, column.key) for v, column in zip(found, COLUMNS, strict=True)]


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


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (None, "final", ""),
        (Statistic(0.5, 0.5, 0.5, 1), "final", ""),
        (Statistic(0.5, 0.4, 0.6, 5, (0.3766, 0.6234)), "final", "[0.38, 0.62]"),
        (Statistic(0.5, 0.5, 0.5, 1, (0.4, 0.55)), "final", "[0.40, 0.55]"),
        (Statistic(0.5, 0.4, 0.6, 1), "final", "0.40–0.60"),
        (Statistic(50.0, 40.0, 60.0, 3), "seconds", "40–60"),
    ],
    ids=["missing", "alone", "seeds", "its_own", "one_seed", "seconds"],
)
def test_what_stands_beside_a_number(value: Statistic | None, key: str, text: str) -> None:
    """An interval stands in brackets, the range of fewer than five seeds without."""
    assert around(value, key) == text


def test_long_floats_in_labels_are_short_and_stay_apart(runs_dir: Path) -> None:
    """Two rates that agree in four digits are shown as they are."""
    rates = (0.00012480743326331826, 0.00012484743326331826, 1e-05)
    for seed, rate in enumerate(rates):
        _change(runs_dir / "layer_freeze" / f"seed{seed}", optimizer__lr=rate)
    labels = [group.label for group in _methods(runs_dir)]
    assert labels[2:] == ["layer_freeze, lr=1e-05", *(f"layer_freeze, lr={rate}" for rate in rates[:2])]
    _change(runs_dir / "layer_freeze" / "seed1", optimizer__lr=0.0002)
    labels = [group.label for group in _methods(runs_dir)]
    assert labels[2:] == ["layer_freeze, lr=1e-05", "layer_freeze, lr=0.0001248", "layer_freeze, lr=0.0002"]


def test_jobs_without_a_result_count_with_those_of_the_same_settings(runs_dir: Path) -> None:
    """A fourth seed of a method that traced, which failed before it could; another method has a failed job too."""
    job = write_failed(runs_dir / "layer_freeze" / "seed3", "failed", "diverged")
    config = yaml.safe_load((runs_dir / "layer_freeze" / "seed0" / "config.yaml").read_text())
    (job / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 3}))
    rows = {row.label: row for row in summarise(find_runs(runs_dir)).sections[0].rows}
    assert {label: len(row.lost) for label, row in rows.items() if row.lost} == {"layer_freeze": 1, "grad_ascent": 1}
    assert rows["layer_freeze"].remarks == ["1 of 4 without a result"]
    _change(job, optimizer={"lr": 0.5})
    assert [row.label for row in _methods(runs_dir) if row.lost] == ["grad_ascent"]


def test_runs_that_stopped_early_and_repeated_seeds_are_remarked(runs_dir: Path) -> None:
    """The remarks stand beside the numbers, in the terminal too."""
    path = runs_dir / "layer_freeze" / "seed1" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["training"]["stopped"] = "collapse"
    path.write_text(json.dumps(metrics))
    _change(runs_dir / "layer_freeze" / "seed2", seed=0)
    row = next(row for row in summarise(find_runs(runs_dir)).sections[0].rows if row.label == "layer_freeze")
    assert (len(row.runs), row.seeds) == (3, 2)
    assert row.remarks == ["1 of 3 stopped early by collapse", "3 runs of 2 seeds"]
    assert "layer_freeze: 1 of 3 stopped early by collapse; 3 runs of 2 seeds" in _printed(runs_dir, 120)


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_label_is_broken_at_its_joints(compared: Path, width: int) -> None:
    """The table keeps within the terminal with all its numbers, and no part of the name is broken."""
    name = "layer_freeze_all_but_mlp_0_5 scope.layers=0-5"
    summary = summarise(find_runs(compared))
    section = replace(summary.sections[0], rows=[replace(row, label=name) for row in summary.sections[0].rows])
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_comparison(replace(summary, sections=[section], unfinished=[]), console)
    table = console.export_text().split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= width
    assert "…" not in "".join(table)
    # Only where there is no room for the whole name.
    assert any(line.startswith("layer_freeze_all_but_ ") for line in table) == (width == 80)
    for row in section.rows:
        for column in COLUMNS:
            value = row.values.get(column.key)
            assert value is None or number(value.mean, column.key) in " ".join(table)


def test_a_part_without_a_joint_stays_whole() -> None:
    """Lines hold as many parts as there is room for, and nothing is lost."""
    name = "layer_freeze_all_but_mlp_0_5 scope.layers=0-5"
    assert broken_at_joints(name, 13).splitlines()[:2] == ["layer_freeze_", "all_but_mlp_"]
    assert broken_at_joints(name, 13).replace("\n", "") == name.replace(" ", "")
    assert broken_at_joints("unbreakable", 4) == "unbreakable"


def test_the_rule_and_what_it_selects_are_printed(compared: Path) -> None:
    """And the method is marked as selected, whether or not its final score is best."""
    rows = [row for row in summarise(find_runs(compared), SelectConfig()).sections[0].rows if row.selected]
    assert len(rows) == 1
    text = _printed(compared, 300, SelectConfig())
    assert f"selected: {rows[0].label} (final score" in text
    assert "rule: highest mean final score over seeds, among methods with at least 0.75 of the untouched" in text
    nobody = SelectConfig(constraint=ConstraintConfig(share_of_target=5.0))
    assert "selected: nothing, no method meets the condition" in _printed(compared, 300, nobody)
    assert "selected:" not in _printed(compared / "layer_freeze", 300, SelectConfig())


def test_a_rule_about_no_metric_is_one_line(runs_dir: Path) -> None:
    """The message comes before anything is written."""
    with pytest.raises(InputError, match=r"select\.by=finale: must be"):
        summarise(find_runs(runs_dir), SelectConfig(by="finale"))


def test_nothing_but_unfinished_jobs_is_no_error(tmp_path: Path) -> None:
    """There is no table, and every job has its line."""
    for number_, state in enumerate(("failed", "running", "interrupted")):
        write_failed(tmp_path / f"{number_}", state, None)
    text = _printed(tmp_path, 100, SelectConfig())
    assert [line.split()[0] for line in text.splitlines() if not line.startswith("  ")] == [
        "failed",
        "running",
        "interrupted",
    ]


@pytest.mark.parametrize(
    ("state", "advice"),
    [("interrupted", "go on with"), ("failed", "go on, with the change that the error asks for")],
)
def test_a_failed_run_is_not_told_to_run_again_as_it_was(tmp_path: Path, state: str, advice: str) -> None:
    """What was interrupted goes on by its own command; what failed needs the change that its error names."""
    write_failed(tmp_path / "run", state)
    (run,) = find_runs(tmp_path)
    last = unfinished_line(run).plain.splitlines()[-1].strip()
    assert last == f"{advice}: unlearn method=grad_ascent hydra.run.dir=run"
