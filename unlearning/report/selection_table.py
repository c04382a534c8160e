"""What tracing found and chose, as a table in the terminal."""

from rich.console import Console
from rich.table import Table

from unlearning.report.details import Tracing
from unlearning.report.heat_maps import UNITS
from unlearning.report.trace_part import facts, finding

BAR = 10
"""Characters of the largest effect's bar."""


def print_selection(tracing: Tracing, console: Console | None = None) -> None:
    """Print the deciding effect of every layer, its interval and share of the total effect, how many of the resamples
    choose it, what was measured, the reasons for doubt, and the choice."""
    console, selection, found = console or Console(), tracing.selection, tracing.effects.of(tracing.deciding)
    title = f"indirect effect of {found.restoration.label}, {UNITS[selection.metric]}"
    table = Table(title=title, title_justify="left")
    for heading in ("layer", "effect", "95% interval", "share", "resamples"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    curve, shares, largest = found.effect, found.normalised, max(*map(abs, found.effect.mean), 1e-12)
    for layer, mean in enumerate(curve.mean):
        chosen = layer in selection.layers
        table.add_row(
            str(layer),
            f"{mean:.3f}",
            f"{curve.low[layer]:.3f} to {curve.high[layer]:.3f}",
            "-" if shares is None else f"{shares[layer]:.0%}".replace("-0%", "0%"),
            f"{selection.inclusion[layer]:.0%}",
            "█" * round(BAR * max(mean, 0.0) / largest) + (" chosen" if chosen else ""),
            style="bold green" if chosen else None,
        )
    console.print(table)
    for name, text in facts(tracing):
        console.print(f"{name}: {text}", highlight=False, markup=False)
    for warning in selection.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
    console.print(finding(tracing), style="bold", highlight=False, markup=False)
