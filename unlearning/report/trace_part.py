"""What tracing found: the part of a page, with figures and numbers, and the table in the terminal."""

import base64
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unlearning.config.trace import TraceMode
from unlearning.mediation.person_bootstrap import EffectCurve
from unlearning.mediation.tracing import Tracing
from unlearning.report.heat_maps import group_curves
from unlearning.report.page import PagePart, render
from unlearning.report.statistic import interval
from unlearning.report.trace_figures import PLOTS, trace_pictures
from unlearning.scopes.ranges import layer_ranges

BAR = 10
"""Characters of the largest effect's bar."""
REASONS = {
    "unknown": "not known to the model",
    "without_foil": "without another person's name to put in",
    "below_min_effect": "not changed by the corruption",
    "not_needed": "not needed",
}


def trace_part(tracing: Tracing, run_dir: Path) -> PagePart:
    """Return the part, with the single facts' heat maps of plots/."""
    paths = sorted((run_dir / PLOTS).glob("trace_fact_*.png"), key=lambda path: (len(path.name), path.name))
    pictures = trace_pictures(tracing)
    values = {
        "selection": tracing.selection,
        "facts": list(facts(tracing)),
        "tables": _tables(tracing),
        "images": [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths],
        "pictures": pictures,
    }
    return PagePart("Causal tracing", finding(tracing), render("trace.html.j2", values), pictures)


def print_selection(tracing: Tracing, console: Console | None = None) -> None:
    """Print the deciding effect of every layer, its interval and share of the total effect, how many of the resamples
    choose it, what was measured, the reasons for doubt, and the choice."""
    console, selection, found = console or Console(), tracing.selection, tracing.effects.of(tracing.deciding)
    title = f"indirect effect of {found.restoration.label}, {selection.metric.unit}"
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


def facts(tracing: Tracing) -> Iterable[tuple[str, str]]:
    """Yield what was measured, and how sure it is."""
    selection, counts, total = tracing.selection, tracing.counts, tracing.effects.total
    found = tracing.effects.of(tracing.deciding)
    peak = max(range(len(found.effect.mean)), key=found.effect.mean.__getitem__)
    share = "" if found.normalised is None else f", {found.normalised[peak]:.0%} of the total"
    yield "total effect", f"{total.mean:.2f} {selection.metric.unit} (95% interval {interval(total.low, total.high)})"
    yield f"largest effect, {found.restoration.label}", f"{found.effect.mean[peak]:.2f} at layer {peak}{share}"
    yield "rule", f"{selection.rule}, {selection.value:g}"
    yield "stability of the choice", f"{selection.stability:.2f} (1: every resample chooses the same)"
    yield "facts traced", f"{counts['traced']} of {counts['persons']} persons"
    for reason, text in REASONS.items():
        if counts[reason]:
            yield f"facts {text}", str(counts[reason])
    how: list[str] = [tracing.mode, tracing.direction]
    if tracing.mode is not TraceMode.weights:
        how += [tracing.corruption, f"{tracing.runs} runs a fact", f"tokens: {tracing.tokens}"]
    yield "measured", ", ".join(how).replace("_", " ")
    if tracing.noise_share is not None:
        yield "variance due to the finite number of runs", f"{tracing.noise_share:.0%}"
    for label, rank in (tracing.screening or {}).items():
        yield f"rank correlation with exact effects, {label}", "unknown" if rank is None else f"{rank:.2f}"


def finding(tracing: Tracing) -> str:
    """Return the choice of layers in one sentence."""
    selection = tracing.selection
    noun = "layer" if len(selection.layers) == 1 else "layers"
    what = f"the {selection.module} of {noun} {layer_ranges(selection.layers)} of {selection.layers_total}"
    share = tracing.shares.get(selection.module)
    trained = "" if share is None else f", {share:.1%} of all parameters"
    return f"The rule {selection.rule} chose {what}{trained}."


def _tables(tracing: Tracing) -> dict[str, dict[str, EffectCurve]]:
    """Return every curve by table and column: all restorations, then the groups of tokens of each kind."""
    tables = {"Indirect effect": {item.restoration.label: item.effect for item in tracing.effects.restorations}}
    groups = group_curves(tracing)
    return tables | {f"{label}, by tokens": own for label, own in groups.items() if len(own) > 1}
