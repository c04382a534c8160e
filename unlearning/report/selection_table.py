"""What tracing found and chose, as a table in the terminal."""

from rich.console import Console
from rich.table import Table

from unlearning.mediation.result import TraceResult
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration

BAR = 10
"""Characters of the largest effect's bar."""


def print_selection(selection: Selection, result: TraceResult, console: Console | None = None) -> None:
    """Print the deciding effect of every layer, its interval and share of the total effect, how many of the resamples
    choose it, and the reasons for doubt."""
    console = console or Console()
    effects = next(item for item in selection.effects if item.metric is selection.metric)
    restoration = Restoration(selection.module, selection.window)
    found = effects.of(restoration)
    curve, shares = found.effect, found.normalised
    table = Table(title=f"indirect effect of {restoration.label}, nats a token", title_justify="left")
    for heading in ("layer", "effect", "95% interval", "share", "resamples"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = max(*map(abs, curve.mean), 1e-12)
    for layer, mean in enumerate(curve.mean):
        bar = "█" * round(BAR * max(mean, 0.0) / largest)
        table.add_row(
            str(layer),
            f"{mean:.3f}",
            f"{curve.low[layer]:.3f} to {curve.high[layer]:.3f}",
            "-" if shares is None else f"{shares[layer]:.0%}".replace("-0%", "0%"),
            f"{selection.inclusion[layer]:.0%}",
            bar + (" chosen" if layer in selection.layers else ""),
            style="bold green" if layer in selection.layers else None,
        )
    console.print(table)
    counts, total = result.counts, effects.total
    console.print(
        f"total effect {total.mean:.3f} ({total.low:.3f} to {total.high:.3f}); {len(result.traces)} facts traced, "
        f"{len(counts.unknown)} unknown to the model, {len(counts.without_foil)} without a foil, "
        f"{len(counts.below_min_effect)} not changed by the corruption, {counts.not_needed} not needed",
        highlight=False,
    )
    if result.screening is not None:
        ranks = ", ".join(f"{label} {value:.2f}" for label, value in result.screening.correlation.items())
        console.print(
            f"estimates; rank correlation with the exact effects of {result.screening.facts} facts: {ranks}",
            style="yellow",
            highlight=False,
        )
    for warning in selection.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
    layers = ", ".join(map(str, selection.layers))
    console.print(
        f"chosen by {selection.rule}={selection.value:g}: {selection.module} of layers {layers} of "
        f"{selection.layers_total}; stability {selection.stability:.2f}",
        style="bold",
        highlight=False,
    )
