"""The numbers of a comparison, once: the terminal, the page and the files only format them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unlearning.config.report import SelectConfig
from unlearning.report.choice import Choice, check_rule, choose
from unlearning.report.comparison_row import ComparisonRow, reference_rows
from unlearning.report.grouping import group_runs
from unlearning.report.runs import Run
from unlearning.report.statistic import MIN_SEEDS, number, number_with_ends


@dataclass(frozen=True)
class Section:
    """The lines of one setting: runs of one model, on the same data, with the same way of scoring."""

    title: str
    rows: tuple[ComparisonRow, ...]
    choice: Choice | None = None
    """None where no rule of selection was given."""

    @property
    def methods(self) -> list[ComparisonRow]:
        """Return the lines of methods."""
        return [row for row in self.rows if row.role == "method"]

    @property
    def finding(self) -> str:
        """Return the result in one sentence."""
        best = max(self.methods, key=lambda row: row.final)
        if best.values["final"] is None:
            return "No final score: parts of it could not be measured."
        references = [row for row in self.rows if row.role != "method" and row.values["final"]]
        others = ", ".join(f"{row.label} {number(row.final, 'final')}" for row in references)
        verb = "reaches the best final score," if len(self.methods) > 1 else "has a final score of"
        score = number_with_ends(best.values["final"], "final")
        return f"{best.label} {verb} {score}{f' ({others})' if others else ''}."


@dataclass(frozen=True)
class Summary:
    """All numbers of a comparison."""

    sections: tuple[Section, ...]
    unfinished: tuple[Run, ...]
    missing: tuple[str, ...]
    """Why numbers are missing, each reason once."""


def summarise(runs: Sequence[Run], select: SelectConfig | None = None) -> Summary:
    """Group the runs, reduce each group to means, and select one group of each setting where a rule is given.

    Raises InputError for a rule that names no metric with a better end.
    """
    if select is not None:
        check_rule(select, runs)
    return Summary(
        sections=tuple(_section(title, methods, select) for title, methods in group_runs(runs)),
        unfinished=tuple(run for run in runs if not run.finished),
        missing=tuple(dict.fromkeys(reason for run in runs for reason in run.missing)),
    )


def notes(summary: Summary, mark: str = "*") -> list[str]:
    """Return what the marks in the tables mean; `mark` stands at the best final score."""
    return [
        f"R-L: ROUGE-L recall, EM: exact match; the arrow points to better. {mark} best final score.",
        "n: seeds, all other settings the same; the number is their mean. low–high: least and greatest of them.",
        f"[low, high] of {MIN_SEEDS} seeds or more: 95% interval of their mean (Student's t), not over other documents "
        "and questions; of a single run: over other documents and questions, not over other seeds.",
        f"- not measured{': ' if summary.missing else ''}{'; '.join(summary.missing)}.",
    ]


def _section(title: str, methods: Sequence[ComparisonRow], select: SelectConfig | None) -> Section:
    """Return the lines; of several methods the best mean final score and the selected one are marked."""
    references = reference_rows([run for row in methods for run in row.runs])
    choice = choose(methods, references, select) if select else None
    best = max(row.final for row in methods)
    marked = [
        replace(row, best=row.final == best >= 0, selected=choice is not None and row is choice.row) for row in methods
    ]
    return Section(title, (*references, *(marked if len(methods) > 1 else methods)), choice)
