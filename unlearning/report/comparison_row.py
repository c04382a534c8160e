"""A line of a comparison's table: the target model, the retrained model, or the runs of one method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unlearning.evaluation.metrics import Better, MetricDescription, describe
from unlearning.report.details import read_evaluation
from unlearning.report.runs import Metrics, Run
from unlearning.report.statistic import SECONDS, Statistic, statistic


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
        return _metric(self.key)


COLUMNS = (
    Column("task_aggregate", ("Task", "agg."), "Task aggregate"),
    Column("mia_score", ("MIA", "sc."), "Membership score"),
    Column("utility", ("Util.", ""), "Utility"),
    Column("final", ("Final", "sc."), "Final score"),
    Column("forget_regurgitation", ("Forget", "R-L"), "Forget R‑L"),
    Column("forget_knowledge", ("Forget", "EM"), "Forget EM"),
    Column("retain_regurgitation", ("Retain", "R-L"), "Retain R‑L"),
    Column("retain_knowledge", ("Retain", "EM"), "Retain EM"),
    Column(SECONDS, ("Train", "sec."), "Training, s"),
)
ROLES = {"target": "untouched target", "retrained": "retrained model"}
"""The models that are no methods, by their names for people."""


@dataclass(frozen=True)
class ComparisonRow:
    """One line: a model that is no method, or the runs of a method that differ in nothing but their seed."""

    label: str
    role: str
    """target, retrained or method."""
    values: Mapping[str, Statistic | None]
    """The numbers of all columns that apply, None for what was not measured, and any other metric of the runs."""
    runs: tuple[Run, ...] = ()
    """The finished runs; of a model that is no method the one that evaluated it."""
    lost: tuple[Run, ...] = ()
    """Runs of the same settings that have no result: failed, interrupted, or still running."""
    best: bool = False
    """Whether no other method has a better mean final score."""
    selected: bool = False
    """Whether the rule of selection chose it."""

    @property
    def seeds(self) -> int:
        """Return the number of different seeds, which is the n of its means."""
        return max((value.n for value in self.values.values() if value), default=len(self.runs))

    @property
    def final(self) -> float:
        """Return the mean final score, to rank by; -1 without one."""
        value = self.values["final"]
        return value.mean if value else -1.0

    @property
    def representative(self) -> Run:
        """Return the run of median final score, whose curves and answers stand for the method."""
        ranked = sorted(self.runs, key=lambda run: (run.metrics.get("final") or 0.0, run.place))
        return ranked[(len(ranked) - 1) // 2]

    @property
    def stopped(self) -> list[str]:
        """Return why the training of some of its runs ended early, one reason for each such run."""
        return [run.stopped for run in self.runs if run.stopped and self.role == "method"]

    @property
    def remarks(self) -> list[str]:
        """Return what a reader must know of its runs besides their numbers."""
        found, runs = [], len(self.runs)
        if self.stopped:
            reasons = ", ".join(dict.fromkeys(self.stopped))
            found.append(f"{len(self.stopped)} of {runs} stopped early by {reasons}")
        if self.lost:
            found.append(f"{len(self.lost)} of {runs + len(self.lost)} without a result")
        if self.seeds < runs:
            found.append(f"{runs} runs of {self.seeds} seed{'s' if self.seeds > 1 else ''}")
        return found


def method_row(label: str, runs: Sequence[Run], lost: Sequence[Run] = ()) -> ComparisonRow:
    """Return the line of a method. A single run has the intervals of its evaluation."""
    results = [{**run.metrics, SECONDS: run.training.get("seconds")} for run in runs]
    intervals = _intervals(runs[0], "unlearned") if len(runs) == 1 else {}
    values = _values(results, intervals, [run.seed for run in runs])
    return ComparisonRow(label, "method", values, tuple(runs), tuple(lost))


def reference_rows(runs: Sequence[Run]) -> list[ComparisonRow]:
    """Return the lines of the target and the retrained model, as the first run that has them evaluated them."""
    found = []
    for role, label in ROLES.items():
        run = next((run for run in runs if getattr(run, role)), None)
        if run is not None:
            values = _values([getattr(run, role)], _intervals(run, role), [None])
            found.append(ComparisonRow(label, role, values, (run,)))
    return found


def _metric(key: str) -> MetricDescription:
    if key == SECONDS:
        return MetricDescription("training", "seconds of training", Better.LOWER, highest=math.inf, unit="s")
    return describe(key)


def _values(
    results: Sequence[Metrics], intervals: Mapping[str, Sequence[float]], seeds: Sequence[int | None]
) -> dict[str, Statistic | None]:
    """Return mean, range and interval of every number over the seeds."""
    scores = [column.key for column in COLUMNS if column.key != SECONDS]
    keys = dict.fromkeys([*scores, *(key for result in results for key in result)])
    return {
        key: statistic(
            [result.get(key) for result in results],
            intervals.get(key),
            seeds,
            (_metric(key).lowest, _metric(key).highest),
        )
        for key in keys
    }


def _intervals(run: Run, model: str) -> Mapping[str, Sequence[float]]:
    result = read_evaluation(run.path, model)
    return result.intervals if result else {}
