"""The table of a comparison as a file: for a spreadsheet, and for a paper."""

from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame

from unlearning.artefacts import write_text
from unlearning.report.comparison_row import COLUMNS, Column, ComparisonRow
from unlearning.report.pareto import front_labels
from unlearning.report.statistic import SECONDS, around, number
from unlearning.report.summary import Section, Summary

_PRINTED = tuple(column for column in COLUMNS if column.key != SECONDS)
_ARROWS = {"↑": r" $\uparrow$", "↓": r" $\downarrow$", "": ""}
_SETTINGS = ("setting", "model", "role", "runs", "seeds", "without_result", "stopped_early", "best", "selected")
_FRONTS = ("front_retain", "front_utility")
_ENDINGS = ("", "_min", "_max", "_low_95", "_high_95")


def write_table(path: Path, summary: Summary) -> None:
    """Write comparison.csv: of each number its mean, the least and the greatest over the runs, and its 95% interval.

    The interval is that of the mean of five seeds or more, or of a single run its own; empty where there is none.
    `best` is the best mean final score, `selected` what the rule chose; `front_retain` and `front_utility` are 1 for
    methods that none other dominates in forgetting and retain rows, and in forgetting and utility.
    """
    columns = [*_SETTINGS, *_FRONTS, *(f"{column.key}{ending}" for column in COLUMNS for ending in _ENDINGS)]
    lines = []
    for section in summary.sections:
        fronts = front_labels(section.rows).values()
        lines += [_line(section.title, row, [row.label in labels for labels in fronts]) for row in section.rows]
    write_text(path, DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n"))


def write_latex(path: Path, summary: Summary) -> None:
    """Write comparison.tex: a tabular of each setting, with the best mean of each column in bold, for booktabs."""
    header = (
        "% needs booktabs; [ ] is a 95% interval: of a single run, or of the mean of 5 seeds or more (Student's t);\n"
    )
    header += "% a -- b is the least and the greatest of fewer seeds"
    write_text(path, "\n\n".join([header, *map(latex_table, summary.sections)]) + "\n")


def latex_table(section: Section) -> str:
    """Return one setting as a tabular: reference models above, methods below a line."""
    best = {column.key: _best(section, column) for column in _PRINTED}
    names = [f"{column.heading}{_ARROWS[column.metric.arrow]}".replace("\u2011", "-") for column in _PRINTED]
    lines = [[row.label, row.seeds, *(_latex_cell(row, key, best[key]) for key in best)] for row in section.rows]
    styler = DataFrame(lines, columns=["Model", "$n$", *names]).style.hide(axis="index")
    styler = styler.format(escape="latex", subset=["Model"])
    text = styler.to_latex(hrules=True, column_format="lr" + "r" * len(_PRINTED)).strip().split("\n")
    references = len(section.rows) - len(section.methods)
    if references and section.methods:
        text.insert(4 + references, r"\midrule")
    return "\n".join([f"% {' '.join(section.title.split())}", *text])


def _line(title: str, row: ComparisonRow, on_fronts: Sequence[bool]) -> list[object]:
    line: list[object] = [title, row.label, row.role, len(row.runs), row.seeds, len(row.lost), len(row.stopped)]
    line += map(int, (row.best, row.selected, *on_fronts))
    for column in COLUMNS:
        value = row.values.get(column.key)
        ends = (value.interval if value else None) or (None, None)
        line += [*((value.mean, value.low, value.high) if value else (None, None, None)), *ends]
    return line


def _best(section: Section, column: Column) -> str | None:
    """Return the best mean of several methods, as it is printed."""
    means = [value.mean for row in section.methods if (value := row.values[column.key])]
    if len(section.methods) < 2 or not means:
        return None
    return number(max(means) if column.metric.arrow == "↑" else min(means), column.key)


def _latex_cell(row: ComparisonRow, key: str, best: str | None) -> str:
    value = row.values[key]
    if value is None:
        return "--"
    mean, beside = number(value.mean, key), around(value, key).replace("–", "--")
    shown = rf"\mathbf{{{mean}}}" if row.role == "method" and mean == best else mean
    return f"${shown}$" + (rf" {{\scriptsize {beside}}}" if beside else "")
