"""The numbers of a comparison, once: the terminal, the page and the files only dress them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unlearning.config.report import SelectConfig
from unlearning.report.choice import Choice, check_rule, choose
from unlearning.report.details import read_evaluation
from unlearning.report.grouping import Group, Setting, group_runs
from unlearning.report.runs import Metrics, Run
from unlearning.report.statistic import Statistic, statistic


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
class Row:
    """One line: the untouched target, the retrained model, or a method."""

    label: str
    role: str
    """target, retrained or method."""
    n: int
    """Runs behind it."""
    values: dict[str, Statistic | None]
    best: bool = False
    selected: bool = False
    """Whether the rule of selection chose it."""
    lost: int = 0
    """Further runs of the same settings that have no result."""
    stopped: tuple[str, ...] = ()
    """Why the training of some of its runs ended early, one reason a run."""

    @property
    def seeds(self) -> int:
        """Different ones behind it: n of its means."""
        return max((value.n for value in self.values.values() if value), default=self.n)

    @property
    def remarks(self) -> list[str]:
        """What is to be known of its runs, for people."""
        told = []
        if self.stopped:
            of = f"{len(self.stopped)} of {self.n} " if self.n > 1 else ""
            told.append(f"{of}stopped early by {', '.join(dict.fromkeys(self.stopped))}")
        if self.lost:
            told.append(f"{self.lost} of {self.n + self.lost} without a result")
        if self.seeds < self.n:
            told.append(f"{self.n} runs of {self.seeds} seed{'s' if self.seeds > 1 else ''}")
        return told


@dataclass(frozen=True)
class Section:
    """The lines of one setting."""

    setting: Setting
    rows: tuple[Row, ...]
    choice: Choice | None = None
    """None where nothing was asked for."""

    @property
    def title(self) -> str:
        """Of the setting."""
        return self.setting.title


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
        return any(row.values[column.key] is None for row in self.rows for column in COLUMNS if applies(row, column))

    @property
    def rows(self) -> list[Row]:
        """Of all settings."""
        return [row for section in self.sections for row in section.rows]


def summarise(runs: Sequence[Run], select: SelectConfig | None = None) -> Summary:
    """Group the runs, reduce each group to means with intervals, and select one a setting where a rule is given.

    Raises InputError for a rule that names no metric with a better end.
    """
    if select is not None:
        check_rule(select, runs)
    return Summary(
        sections=tuple(_section(setting, select) for setting in group_runs(runs)),
        unfinished=tuple(run for run in runs if not run.finished),
        missing=tuple(dict.fromkeys(reason for run in runs for reason in run.missing)),
    )


def applies(row: Row, column: Column) -> bool:
    """Whether the line can have this number at all: nobody trained the two reference models here."""
    return row.role == "method" or column.key != SECONDS


def number(value: float | None, key: str) -> str:
    """Three decimals for scores, whole seconds from ten on, "-" for what is missing."""
    if value is None:
        return "-"
    if key == SECONDS:
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.3f}"


def around(value: Statistic | None, key: str) -> str:
    """After several seeds' mean half its 95% interval; of one run its own interval, or of several runs of one seed the
    least and the greatest; empty where there is none of these."""
    if value is None:
        return ""
    if value.half is not None:
        return f"± {number(value.half, key)}"
    low, high = (number(end, key) if key == SECONDS else f"{end:.2f}" for end in value.ends)
    if value.interval is not None:
        return f"[{low}, {high}]"
    return f"{low}–{high}" if value.high > value.low else ""


def interval_notes(summary: Summary) -> list[str]:
    """What stands beside a number of a single seed, for the kinds that occur."""
    values = [value for row in summary.rows for value in row.values.values() if value]
    notes = []
    if any(value.n == 1 and value.interval is not None for value in values):
        notes.append(
            "[low, high]: 95% interval of a single run over other documents and questions; it knows nothing of seeds."
        )
    if any(value.interval is None and value.high > value.low for value in values):
        notes.append("low–high: least and greatest of several runs of one seed, no confidence interval.")
    return notes


def _section(setting: Setting, select: SelectConfig | None) -> Section:
    """Target, retrained model, then the methods. The best mean final score is marked, and the selected method."""
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


def _method_row(group: Group) -> Row:
    results = [{**run.metrics, SECONDS: run.training.get("seconds")} for run in group.runs]
    alone = len(group.runs) == 1
    row = _row(group.label, "method", results, _intervals(group.runs[0], "unlearned") if alone else {}, group.seeds)
    return replace(row, lost=len(group.lost), stopped=group.stopped)


def _row(
    label: str,
    role: str,
    results: Sequence[Metrics],
    intervals: Mapping[str, Sequence[float]],
    seeds: Sequence[int | None] | None = None,
) -> Row:
    values = {
        column.key: statistic([result.get(column.key) for result in results], intervals.get(column.key), seeds)
        for column in COLUMNS
    }
    return Row(label, role, len(results), values)


def _intervals(run: Run, model: str) -> Mapping[str, Sequence[float]]:
    result = read_evaluation(run.path, model)
    return result.intervals if result else {}
