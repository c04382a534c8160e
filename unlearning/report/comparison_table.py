"""The table of a comparison as a file: for a spreadsheet, and for a paper."""

from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame

from unlearning.artefacts import write_text
from unlearning.report.pareto import front_labels
from unlearning.report.summary import COLUMNS, SECONDS, Column, ComparisonRow, Section, Summary, around, number

_PRINTED = tuple(column for column in COLUMNS if column.key != SECONDS)
_ARROWS = {"↑": r" $\uparrow$", "↓": r" $\downarrow$", "": ""}


def write_table(path: Path, summary: Summary) -> None:
    """Write comparison.csv: of each number its mean, the least and the greatest over the runs, and its 95% interval.

    The interval is that of the mean of five seeds or more, or of a single run its own; empty where there is none.
    `best` is the best mean final score, `selected` what the rule chose; `front_retain` and `front_utility` are 1 for
    methods that none other dominates in forgetting and retain rows, and in forgetting and utility.
    """
    columns = ["setting", "model", "role", "runs", "seeds", "without_result", "stopped_early"]
    columns += ["best", "selected", "front_retain", "front_utility"]
    for column in COLUMNS:
        columns += [f"{column.key}{ending}" for ending in ("", "_min", "_max", "_low_95", "_high_95")]
    frame = DataFrame([line for section in summary.sections for line in _lines(section)], columns=columns)
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def write_latex(path: Path, summary: Summary) -> None:
    """Write comparison.tex: a tabular of each setting, with the best mean of each column in bold, for booktabs."""
    header = (
        "% needs booktabs; [ ] is a 95% interval: of a single run, or of the mean of 5 seeds or more (Student's t);\n"
    )
    header += "% a -- b is the least and the greatest of fewer seeds"
    write_text(path, "\n\n".join([header, *map(latex_table, summary.sections)]) + "\n")


def latex_table(section: Section) -> str:
    """Return one setting as a tabular: reference models above, methods below a line."""
    references = [row for row in section.rows if row.role != "method"]
    methods = [row for row in section.rows if row.role == "method"]
    bold = {column.key: _best(methods, column) for column in _PRINTED}
    names = [f"{column.heading}{_ARROWS[column.metric.arrow]}".replace("\u2011", "-") for column in _PRINTED]
    lines = [[row.label, row.seeds, *(_latex_cell(row, column, bold) for column in _PRINTED)] for row in section.rows]
    styler = DataFrame(lines, columns=["Model", "$n$", *names]).style.hide(axis="index")
    styler = styler.format(escape="latex", subset=["Model"])
    text = styler.to_latex(hrules=True, column_format="lr" + "r" * len(_PRINTED)).strip().split("\n")
    if references and methods:
        text.insert(4 + len(references), r"\midrule")
    return "\n".join([f"% {' '.join(section.title.split())}", *text])


def _lines(section: Section) -> list[list[object]]:
    fronts = front_labels(section.rows)
    lines = []
    for row in section.rows:
        line: list[object] = [section.title, row.label, row.role, row.n, row.seeds, row.lost, len(row.stopped)]
        method = row.role == "method"
        line += [int(row.best), int(row.selected), *(int(method and row.label in on) for on in fronts.values())]
        for column in COLUMNS:
            value = row.values[column.key]
            line += [None] * 3 if value is None else [value.mean, value.low, value.high]
            line += [None] * 2 if value is None or value.interval is None else value.interval
        lines.append(line)
    return lines


def _best(rows: Sequence[ComparisonRow], column: Column) -> float | None:
    """Return the best mean of several methods."""
    means = [value.mean for row in rows if (value := row.values[column.key])]
    if len(rows) < 2 or not means:
        return None
    return max(means) if column.metric.arrow == "↑" else min(means)


def _latex_cell(row: ComparisonRow, column: Column, bold: dict[str, float | None]) -> str:
    value, best = row.values[column.key], bold[column.key] if row.role == "method" else None
    if value is None:
        return "--"
    mean = number(value.mean, column.key)
    shown = rf"\mathbf{{{mean}}}" if best is not None and mean == number(best, column.key) else mean
    beside = around(value, column.key).replace("–", "--")
    return f"${shown}$" + (rf" {{\scriptsize {beside}}}" if beside else "")
