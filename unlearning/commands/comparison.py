"""The comparison of finished runs: a table in the terminal, one page, and files for other programs."""

import re
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from unlearning.config.report import SelectConfig
from unlearning.report.comparison_row import COLUMNS, ComparisonRow
from unlearning.report.html import write_comparison_of
from unlearning.report.runs import Run, find_runs
from unlearning.report.statistic import MIN_SEEDS, number
from unlearning.report.summary import Section, Summary, notes, summarise
from unlearning.runs.status import ENDED_EARLY

MIN_WIDTH = 78
"""Columns that a table takes at least. A narrower terminal wraps its lines, which loses nothing."""


def report_on(runs: Path, out: Path | None, select: SelectConfig | None = None) -> Path:
    """Print the table, write the page, its tables and its pictures; returns the page's path.

    `select` is the rule by which one method is selected; None: the default one. Raises InputError where the folder
    holds no readable run, or where the rule is about no metric.
    """
    found = find_runs(runs)
    summary = summarise(found, select or SelectConfig())
    print_comparison(summary)
    page = write_comparison_of(found, summary, out or runs)
    Console().print(f"report: {page}", highlight=False, soft_wrap=True)
    return page


def print_comparison(summary: Summary, console: Console | None = None) -> None:
    """Print a table for each setting with what the rule selects, what the marks mean, and the runs without a result."""
    console = console or Console()
    for section in summary.sections:
        table = comparison_table(section, label_width(section, console))
        table.width = MIN_WIDTH if console.width < MIN_WIDTH else None
        console.print(table, crop=False)
        for row in section.rows:
            if row.remarks:
                console.print(Text(f"{row.label}: {'; '.join(row.remarks)}", style="yellow"))
        if section.choice is not None and len(section.methods) > 1:
            console.print(Text(f"selected: {section.choice.outcome}", style="bold"))
            console.print(Text(f"rule: {section.choice.rule}", style="dim"))
        console.print()
    for note in notes(summary) if summary.sections else ():
        console.print(Text(note, style="dim"))
    for run in summary.unfinished:
        console.print(unfinished_line(run))


def label_width(section: Section, console: Console) -> int:
    """Return how many characters of a line are left for a model's label."""
    longest = max(len(row_label(row)) for row in section.rows)
    whole = Measurement.get(console, console.options.update_width(1000), comparison_table(section, longest)).maximum
    return longest - max(0, whole - max(console.width, MIN_WIDTH))


def row_label(row: ComparisonRow) -> str:
    """Return the name of a row, with the number of its seeds where it has several."""
    return row.label if row.seeds == 1 else f"{row.label} (n={row.seeds})"


def broken_at_joints(label: str, width: int) -> str:
    """Return a label in lines of at most `width` characters, broken only after a space or one of _ - = , / +.

    A part without any of these that is longer stays whole.
    """
    lines = [""]
    for part in re.findall(r"[^ _\-=,/+]*[ _\-=,/+]|[^ _\-=,/+]+", label):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def comparison_table(section: Section, width: int) -> Table:
    """Return one setting's table; a method with several seeds has two lines more, for the ends around each mean.

    `width` is that of a label, in characters.
    """
    table = Table(
        title=escape(section.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    table.padding = 0
    table.add_column("\nModel", no_wrap=True)
    for column in COLUMNS:
        table.add_column(f"{column.title[0]}\n{column.title[1]}{column.metric.arrow}", justify="right", no_wrap=True)
    for row in section.rows:
        style = "bold green" if row.best else "italic" if row.role != "method" else ""
        values = {column.key: row.values[column.key] for column in COLUMNS if column.key in row.values}
        means = {key: number(value.mean if value else None, key) for key, value in values.items()}
        means["final"] = f"*{means['final']}" if row.best else means["final"]
        table.add_row(
            Text(broken_at_joints(row_label(row), width)),
            *(means.get(column.key, "") for column in COLUMNS),
            style=style,
        )
        if row.seeds > 1:
            names = ("  least", "  greatest") if row.seeds < MIN_SEEDS else ("  95% from", "  to")
            for end, name in enumerate(names):
                ends = [number(value.ends[end], key) if value else "" for key, value in values.items()]
                table.add_row(name, *ends, style="dim")
    return table


def unfinished_line(run: Run) -> Text:
    """Return state, place and error of a run without numbers, and how to go on with it.

    What failed would fail again: its error says what to change.
    """
    failed = run.state in ("failed", ENDED_EARLY)
    style = "bold red" if failed else "bold yellow"
    line = Text.assemble((run.state, style), f" {run.place}", f": {run.error}" if run.error else "")
    if run.resume:
        when = "go on, with the change that the error asks for" if failed else "go on with"
        line.append(f"\n  {when}: {run.resume}", style="dim")
    return line
