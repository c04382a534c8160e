"""Probes as a table in the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unlearning.probes.table import ModelRole, ProbeResult
from unlearning.report.probe_view import cell, explanations


def print_probes(lines: Sequence[ProbeResult], console: Console | None = None) -> None:
    """Print for each probe the value of every model and the share recovered, then what the columns mean."""
    console = console or Console()
    roles = [role for role in ModelRole if any(role in line.values for line in lines)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("probe")
    for heading in (*(role.value for role in roles), "recovered"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        numbers = [line.values.get(role) for role in roles]
        share = cell(line.share)
        shown = Text.assemble((share[0], "bold"), (f"\n{share[1]}" if share[1] else "", "dim"))
        name = Text.assemble(line.name, (f"\n{line.measure}", "dim"))
        table.add_row(name, *("\n".join(filter(None, cell(value))) for value in numbers), shown)
    console.print(table)
    for line in lines:
        if line.reason:
            console.print(Text(f"{line.name} does not apply: {line.reason}", style="yellow"))
    for note in explanations(lines):
        console.print(Text(note, style="dim"))
