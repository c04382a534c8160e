"""The numbers of a comparison, once: the terminal, the page and the CSV file only dress them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from unlearning.artefacts import write_csv
from unlearning.report.grouping import Group, Setting, group_runs
from unlearning.report.runs import Metrics, Run


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    key: str
    title: tuple[str, str]
    """Two short lines, for a narrow terminal."""
    heading: str
    meaning: str
    higher_is_better: bool = True


SECONDS = "seconds"
COLUMNS = (
    Column("task_aggregate", ("Task", "agg."), "Task aggregate", "harmonic mean of the 12 terms, higher is better"),
    Column("mia_score", ("MIA", "sc."), "MIA score", "1 - 2|AUC - 0.5| of the membership attack, higher is better"),
    Column("utility", ("Util-", "ity"), "Utility", "accuracy on the utility questions, higher is better"),
    Column("final", ("Final", "sc."), "Final score", "mean of the three before, higher is better"),
    Column(
        "forget_regurgitation", ("Forget", "R-L"), "Forget R‑L", "ROUGE-L recall on forget rows, lower is better", False
    ),
    Column(
        "forget_knowledge", ("Forget", "EM"), "Forget EM", "exact match on forget questions, lower is better", False
    ),
    Column("retain_regurgitation", ("Retain", "R-L"), "Retain R‑L", "ROUGE-L recall on retain rows, higher is better"),
    Column("retain_knowledge", ("Retain", "EM"), "Retain EM", "exact match on retain questions, higher is better"),
    Column(SECONDS, ("Train", "sec."), "Training, s", "seconds of training, lower is better", False),
)


@dataclass(frozen=True)
class Statistic:
    """One number over the runs of a group."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Row:
    """One line: the untouched target, the gold model, or a method."""

    label: str
    role: str
    """target, gold or method."""
    n: int
    """Runs behind it."""
    values: dict[str, Statistic | None]
    best: bool = False

    @property
    def several(self) -> bool:
        """Whether there is a range to show."""
        return any(value is not None and value.n > 1 for value in self.values.values())


@dataclass(frozen=True)
class Section:
    """The lines of one setting."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Summary:
    """All of a comparison's numbers."""

    sections: tuple[Section, ...]
    unfinished: tuple[Run, ...]
    missing: tuple[str, ...]
    """Why numbers are missing, each reason once."""

    @property
    def columns_missing(self) -> bool:
        """Whether a method's line lacks a number."""
        rows = [row for section in self.sections for row in section.rows]
        return any(row.values[column.key] is None for row in rows for column in COLUMNS if applies(row, column))


def summarise(runs: Sequence[Run]) -> Summary:
    """Group the runs and reduce each group to mean, least and greatest."""
    return Summary(
        sections=tuple(Section(setting.title, setting_rows(setting)) for setting in group_runs(runs)),
        unfinished=tuple(run for run in runs if not run.finished),
        missing=tuple(dict.fromkeys(reason for run in runs for reason in run.missing)),
    )


def setting_rows(setting: Setting) -> tuple[Row, ...]:
    """Target and gold model first, then the methods; the best mean final score is marked."""
    rows = []
    target = _first([run.target for run in setting.runs])
    gold = _first([run.gold for run in setting.runs])
    if target:
        rows.append(_row("untouched target", "target", [target]))
    if gold:
        rows.append(_row("gold model", "gold", [gold]))
    methods = [_method_row(group) for group in setting.groups]
    finals = [value.mean for row in methods if (value := row.values["final"])]
    best = max(finals, default=None)
    for row in methods:
        final = row.values["final"]
        is_best = len(methods) > 1 and final is not None and final.mean == best
        rows.append(Row(row.label, row.role, row.n, row.values, is_best))
    return tuple(rows)


def applies(row: Row, column: Column) -> bool:
    """Whether the line can have this number at all: nobody trained the two reference models here."""
    return row.role == "method" or column.key != SECONDS


def write_table(path: Path, summary: Summary) -> None:
    """The table as CSV: for each number its mean, least and greatest; empty where missing."""
    columns = ["setting", "model", "role", "runs", "best"]
    for column in COLUMNS:
        columns += [column.key, f"{column.key}_min", f"{column.key}_max"]
    lines = []
    for section in summary.sections:
        for row in section.rows:
            line: list[object] = [section.title, row.label, row.role, row.n, int(row.best)]
            for column in COLUMNS:
                value = row.values[column.key]
                line += ["", "", ""] if value is None else [value.mean, value.low, value.high]
            lines.append(line)
    write_csv(path, columns, lines)


def number(value: float | None, key: str) -> str:
    """Three decimals for scores, whole seconds from ten on, "-" for what is missing."""
    if value is None:
        return "-"
    if key == SECONDS:
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.3f}"


def statistic(values: Sequence[float | None]) -> Statistic | None:
    """Mean and range of the numbers that are there; None where none is."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Statistic(fmean(there), min(there), max(there), len(there))


def _method_row(group: Group) -> Row:
    return _row(
        group.label,
        "method",
        [{**run.metrics, SECONDS: run.training.get("seconds")} for run in group.runs],
    )


def _row(label: str, role: str, results: Sequence[Metrics]) -> Row:
    values = {column.key: statistic([result.get(column.key) for result in results]) for column in COLUMNS}
    return Row(label, role, len(results), values)


def _first(candidates: Sequence[Metrics | None]) -> Metrics | None:
    return next((candidate for candidate in candidates if candidate), None)
