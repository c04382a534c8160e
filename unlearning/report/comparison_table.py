"""The numbers of a comparison as files: a table for a spreadsheet and for a paper, and every run as a line."""

from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame, concat

from unlearning.artefacts import write_text
from unlearning.report.comparison_row import COLUMNS, ComparisonRow
from unlearning.report.pareto import PANELS, front_labels
from unlearning.report.runs import Run
from unlearning.report.settings import flatten, varied
from unlearning.report.statistic import number_with_ends
from unlearning.report.summary import Summary

_SETTINGS = ("setting", "model", "role", "runs", "seeds", "without_result", "stopped_early", "best", "selected")
_ENDINGS = ("", "_min", "_max", "_low_95", "_high_95")
_NOT_VARIED = ("method", "seed")
_NEVER_VARIED = ("name", "cache_dir", "logger.", "hydra.", "optimized", "tuned.")
COST = ("seconds", "steps", "trainable_parameters")


def write_table(path: Path, summary: Summary) -> None:
    """Write comparison.csv: of each number its mean, the least and the greatest over the runs, and its 95% interval.

    The interval is that of the mean of five seeds or more, or of a single run its own; empty where there is none.
    `best` is the best mean final score, `selected` what the rule chose; `front_retain` and `front_utility` are 1 for
    methods that none other dominates in forgetting and retain rows, and in forgetting and utility.
    """
    columns = [*_SETTINGS, *(f"front_{panel.key}" for panel in PANELS)]
    columns += [f"{column.key}{ending}" for column in COLUMNS for ending in _ENDINGS]
    lines = []
    for section in summary.sections:
        fronts = front_labels(section.rows).values()
        lines += [_line(section.title, row, [row.label in labels for labels in fronts]) for row in section.rows]
    write_text(path, DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n"))


def write_latex(path: Path, summary: Summary) -> None:
    """Write comparison.tex: a tabular of each setting for booktabs, with the interval or range beside each number."""
    columns = ["Model", "n", *(column.heading.replace("\u2011", "-") for column in COLUMNS)]
    tables = []
    for section in summary.sections:
        lines = [
            [row.label, row.seeds, *(number_with_ends(row.values.get(column.key), column.key) for column in COLUMNS)]
            for row in section.rows
        ]
        tabular = DataFrame(lines, columns=columns).to_latex(index=False, escape=True)
        tables.append(f"% {' '.join(section.title.split())}\n{tabular}")
    write_text(path, "\n".join(tables))


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Write a line for each run, in the order of the folders.

    A line has place, state, why the run failed or why its training ended early, method, seed, every key of the
    configuration that is not the same in all runs, every metric, and what training cost. What a run lacks is empty.
    """
    about = [
        (run.place, run.state, run.error, run.stopped, run.method, "" if run.seed is None else str(run.seed))
        for run in runs
    ]
    configs = [flatten(run.config) for run in runs]
    keys = [key for key in varied(configs) if key not in _NOT_VARIED and not key.startswith(_NEVER_VARIED)]
    parts = [
        DataFrame(about, columns=["run", "state", "error", "stopped", "method", "seed"]),
        DataFrame(configs, columns=keys),
        DataFrame([run.metrics for run in runs]),
        DataFrame([run.training for run in runs], columns=COST).add_prefix("training_"),
    ]
    write_text(path, concat(parts, axis="columns").to_csv(index=False, lineterminator="\n"))


def _line(title: str, row: ComparisonRow, on_fronts: Sequence[bool]) -> list[object]:
    line: list[object] = [title, row.label, row.role, len(row.runs), row.seeds, len(row.lost), len(row.stopped)]
    line += map(int, (row.best, row.selected, *on_fronts))
    for column in COLUMNS:
        value = row.values.get(column.key)
        ends = (value.interval if value else None) or (None, None)
        line += [*((value.mean, value.low, value.high) if value else (None, None, None)), *ends]
    return line
