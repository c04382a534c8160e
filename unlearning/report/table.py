"""The comparison as a table in the terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from unlearning.report.runs import Run
from unlearning.report.statistic import MIN_SEEDS
from unlearning.report.summary import COLUMNS, Column, ComparisonRow, Section, Summary, applies, notes, number

MIN_WIDTH, ROOMY_WIDTH = 78, 100


def print_comparison(summary: Summary, console: Console | None = None) -> None:
    """Print a table for each setting with what the rule selects, what the marks mean, and the runs without a result."""
    console = console or Console()
    for section in summary.sections:
        table = comparison_table(section, gap=1 if console.width >= ROOMY_WIDTH else 0)
        # In a narrower table, rich would fold names to single letters; lines that the terminal wraps lose nothing.
        table.width = MIN_WIDTH if console.width < MIN_WIDTH else None
        console.print(table, crop=False)
        for row in section.rows:
            if row.remarks:
                console.print(Text(f"{row.label}: {'; '.join(row.remarks)}", style="yellow"))
        if section.choice is not None and len(section.setting.groups) > 1:
            console.print(Text(f"selected: {section.choice.outcome}", style="bold"))
            console.print(Text(f"rule: {section.choice.rule}", style="dim"))
        console.print()
    for note in notes(summary):
        console.print(Text(note, style="dim"))
    for run in summary.unfinished:
        console.print(unfinished_line(run))


def comparison_table(section: Section, gap: int = 1) -> Table:
    """Return one setting's table; a method with several seeds has two lines more, for the ends around each mean.

    `gap` is the number of blanks between columns besides the one that separates them.
    """
    table = Table(
        title=escape(section.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    table.padding = (0, 0, 0, gap)
    table.add_column("\nModel", overflow="fold")
    for column in COLUMNS:
        table.add_column(f"{column.title[0]}\n{column.title[1]}{column.metric.arrow}", justify="right", no_wrap=True)
    for row in section.rows:
        table.add_row(_label(row), *(_cell(row, column) for column in COLUMNS))
        if row.seeds > 1:
            names = ("  least", "  greatest") if row.seeds < MIN_SEEDS else ("  95% from", "  to")
            for end, name in enumerate(names):
                table.add_row(name, *(_end(row, column, end) for column in COLUMNS), style="dim")
    return table


def unfinished_line(run: Run) -> Text:
    """Return state, place and error of a run without numbers, and how to go on with it."""
    style = "bold red" if run.state == "failed" else "bold yellow"
    line = Text.assemble((run.state, style), f" {run.place}")
    if run.error:
        line.append(f": {run.error}")
    if run.resume:
        line.append(f"\n  go on with: {run.resume}", style="dim")
    return line


def _label(row: ComparisonRow) -> Text:
    if row.role != "method":
        return Text(row.label, style="italic")
    seeds = f" (n={row.seeds})" if row.seeds > 1 else ""
    return Text(row.label + seeds, style="bold green" if row.best else "")


def _cell(row: ComparisonRow, column: Column) -> Text:
    if not applies(row, column):
        return Text("")
    value = row.values[column.key]
    marked = row.best and column.key == "final"
    text = ("*" if marked else "") + number(value.mean if value else None, column.key)
    return Text(text, style="bold green" if marked else "")


def _end(row: ComparisonRow, column: Column, end: int) -> str:
    value = row.values[column.key]
    return "" if value is None else number(value.ends[end], column.key)
