"""The numbers of a comparison, once: the terminal, the page and the files only format them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unlearning.config.report import SelectConfig
from unlearning.evaluation.metrics import Better, MetricDescription, describe
from unlearning.report.choice import Choice, check_rule, choose
from unlearning.report.details import read_evaluation
from unlearning.report.grouping import Group, Setting, group_runs
from unlearning.report.runs import Metrics, Run
from unlearning.report.statistic import MIN_SEEDS, Statistic, statistic

SECONDS = "seconds"
_TRAINING_TIME = MetricDescription("training", "seconds of training", Better.LOWER, highest=math.inf, unit="s")


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    key: str
    title: tuple[str, str]
    """Two short lines, for a narrow terminal."""
    heading: str

    @property
    def metric(self) -> MetricDescription:
        """Return what the column's numbers are."""
        return _TRAINING_TIME if self.key == SECONDS else describe(self.key)

    @property
    def possible(self) -> tuple[float, float]:
        """Return the least and the greatest number that is possible."""
        return self.metric.lowest, self.metric.highest


COLUMNS = (
    Column("task_aggregate", ("Task", "agg."), "Task aggregate"),
    Column("mia_score", ("MIA", "sc."), "Membership score"),
    Column("utility", ("Util-", "ity"), "Utility"),
    Column("final", ("Final", "sc."), "Final score"),
    Column("forget_regurgitation", ("Forget", "R-L"), "Forget R‑L"),
    Column("forget_knowledge", ("Forget", "EM"), "Forget EM"),
    Column("retain_regurgitation", ("Retain", "R-L"), "Retain R‑L"),
    Column("retain_knowledge", ("Retain", "EM"), "Retain EM"),
    Column(SECONDS, ("Train", "sec."), "Training, s"),
)


@dataclass(frozen=True)
class ComparisonRow:
    """One line of the table: the target model, the retrained model, or a method."""

    label: str
    role: str
    """target, retrained or method."""
    n: int
    """The number of its runs."""
    values: dict[str, Statistic | None]
    best: bool = False
    selected: bool = False
    """Whether the rule of selection chose it."""
    lost: int = 0
    """The number of further runs of the same settings that have no result."""
    stopped: tuple[str, ...] = ()
    """Why the training of some of its runs ended early, one reason for each such run."""

    @property
    def seeds(self) -> int:
        """Return the number of different seeds, which is the n of its means."""
        return max((value.n for value in self.values.values() if value), default=self.n)

    @property
    def remarks(self) -> list[str]:
        """Return what a reader must know of its runs besides their numbers."""
        found = []
        if self.stopped:
            of = f"{len(self.stopped)} of {self.n} " if self.n > 1 else ""
            found.append(f"{of}stopped early by {', '.join(dict.fromkeys(self.stopped))}")
        if self.lost:
            found.append(f"{self.lost} of {self.n + self.lost} without a result")
        if self.seeds < self.n:
            found.append(f"{self.n} runs of {self.seeds} seed{'s' if self.seeds > 1 else ''}")
        return found


@dataclass(frozen=True)
class Section:
    """The lines of one setting."""

    setting: Setting
    rows: tuple[ComparisonRow, ...]
    choice: Choice | None = None
    """None where no rule of selection was given."""

    @property
    def title(self) -> str:
        """Return the setting's title."""
        return self.setting.title


@dataclass(frozen=True)
class Summary:
    """All numbers of a comparison."""

    sections: tuple[Section, ...]
    unfinished: tuple[Run, ...]
    missing: tuple[str, ...]
    """Why numbers are missing, each reason once."""

    @property
    def rows(self) -> list[ComparisonRow]:
        """Return the lines of all settings."""
        return [row for section in self.sections for row in section.rows]


def summarise(runs: Sequence[Run], select: SelectConfig | None = None) -> Summary:
    """Group the runs, reduce each group to means, and select one group of each setting where a rule is given.

    Raises InputError for a rule that names no metric with a better end.
    """
    if select is not None:
        check_rule(select, runs)
    return Summary(
        sections=tuple(_section(setting, select) for setting in group_runs(runs)),
        unfinished=tuple(run for run in runs if not run.finished),
        missing=tuple(dict.fromkeys(reason for run in runs for reason in run.missing)),
    )


def applies(row: ComparisonRow, column: Column) -> bool:
    """Return whether the line can have this number: the two reference models were not trained here."""
    return row.role == "method" or column.key != SECONDS


def number(value: float | None, key: str) -> str:
    """Return three decimals of a score, whole seconds from ten on, and "-" for what is missing."""
    if value is None:
        return "-"
    if key == SECONDS:
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.3f}"


def around(value: Statistic | None, key: str) -> str:
    """Return the 95% interval as [low, high], or without one low–high of several runs; empty where there is neither."""
    if value is None:
        return ""
    low, high = (number(end, key) if key == SECONDS else f"{end:.2f}" for end in value.ends)
    if value.interval is not None:
        return f"[{low}, {high}]"
    return f"{low}–{high}" if value.high > value.low else ""


def notes(summary: Summary, mark: str = "*") -> list[str]:
    """Return what the marks in the tables mean, for those that occur; `mark` stands at the best final score."""
    rows = summary.rows
    values = [value for row in rows for value in row.values.values() if value]
    found = ["R-L: ROUGE-L recall, EM: exact match; the arrow points to better."] if rows else []
    if any(row.best for row in rows):
        found.append(f"{mark} best final score.")
    if any(row.seeds > 1 for row in rows):
        found.append("n: seeds, all other settings the same; the number is their mean.")
    if any(value.interval is None and value.high > value.low for value in values):
        found.append(f"low–high: least and greatest of several runs, where there are fewer than {MIN_SEEDS} seeds.")
    if any(value.interval is not None and value.n > 1 for value in values):
        found.append(
            f"[low, high] of {MIN_SEEDS} seeds or more: 95% interval of their mean (Student's t), not over other "
            "documents and questions."
        )
    if any(value.interval is not None and value.n == 1 for value in values):
        found.append(
            "[low, high] of a single run: 95% interval over other documents and questions, not over other seeds."
        )
    if any(row.values[column.key] is None for row in rows for column in COLUMNS if applies(row, column)):
        found.append("- not measured" + (f": {'; '.join(summary.missing)}." if summary.missing else "."))
    return found


def _section(setting: Setting, select: SelectConfig | None) -> Section:
    """Return target, retrained model and methods. The best mean final score and the selected method are marked."""
    rows = []
    for role, label in (("target", "untouched target"), ("retrained", "retrained model")):
        run = next((run for run in setting.runs if getattr(run, role)), None)
        if run is not None:
            rows.append(_row(label, role, [getattr(run, role)], _intervals(run, role)))
    choice = None if select is None else choose(setting, select)
    chosen = choice.group if choice and len(setting.groups) > 1 else None
    methods = [replace(_method_row(group), selected=group is chosen) for group in setting.groups]
    best = max((value.mean for row in methods if (value := row.values["final"])), default=None)
    for row in methods:
        final = row.values["final"]
        rows.append(replace(row, best=len(methods) > 1 and final is not None and final.mean == best))
    return Section(setting, tuple(rows), choice)


def _method_row(group: Group) -> ComparisonRow:
    results = [{**run.metrics, SECONDS: run.training.get("seconds")} for run in group.runs]
    intervals = _intervals(group.runs[0], "unlearned") if len(group.runs) == 1 else {}
    row = _row(group.label, "method", results, intervals, group.seeds)
    return replace(row, lost=len(group.lost), stopped=group.stopped)


def _row(
    label: str,
    role: str,
    results: Sequence[Metrics],
    intervals: Mapping[str, Sequence[float]],
    seeds: Sequence[int | None] | None = None,
) -> ComparisonRow:
    values = {
        column.key: statistic(
            [result.get(column.key) for result in results], intervals.get(column.key), seeds, column.possible
        )
        for column in COLUMNS
    }
    return ComparisonRow(label, role, len(results), values)


def _intervals(run: Run, model: str) -> Mapping[str, Sequence[float]]:
    result = read_evaluation(run.path, model)
    return result.intervals if result else {}
