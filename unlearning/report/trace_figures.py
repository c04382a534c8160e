"""The figures of causal tracing, with what a reader must know to read them."""

from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceMode
from unlearning.mediation.person_bootstrap import EffectCurve
from unlearning.mediation.result import TraceResult
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration
from unlearning.mediation.tracing import Tracing, load_tracing
from unlearning.report.heat_maps import choices, draw_fact, draw_groups, draw_selection, group_curves
from unlearning.report.style import CHOSEN, KINDS, MUTED, PLACEBO, Picture, picture, shared_legend, write_pictures

PLOTS = "plots"
WIDTH = 10.0
MARKERS = {"layer": "o", "mlp": "s", "attention": "^"}
EFFECTS = (
    "The higher above 0 and above the grey placebo, the more of the answer the part carries; where even the lighter "
    "band is above 0, that holds for all such layers at once."
)
SEVERED = (
    "With a path severed, a layer's patched output can reach the answer only around the parts named; what that takes "
    "away, on the right, is the effect that travels through them."
)
TOKENS = (
    "Each cell is the mean indirect effect of these tokens' states at one layer: red speaks for the answer, blue "
    "against it; a dot marks a 95% interval that excludes 0."
)
CHOICE = (
    "Bars: the share of resamples of the persons in which the rule chooses the layer; near 1 or 0 the choice is sure. "
    "Below: the chosen layers, and as many chosen by rules that read no effects."
)


def write_trace_plots(result: TraceResult, run_dir: Path, facts: int = 4) -> list[Path]:
    """Write plots/trace_*.png: those of `trace_pictures`, and a heat map of each of the first `facts` facts.

    A fact has a heat map only where more than one site was patched. Returns the paths.
    Raises InputError where layers.json is not there yet.
    """
    tracing = load_tracing(run_dir)
    pictures = trace_pictures(tracing)
    for number, trace in enumerate(result.traces[:facts], start=1):
        if len(trace.sites) > 1:
            size, given = (WIDTH, 1.35 + 0.2 * max(4, len(trace.sites))), (trace, result, tracing.selection.metric)
            pictures.append(picture(f"trace_fact_{number}", f"Fact {number}", "", size, draw_fact, *given))
    return write_pictures(run_dir / PLOTS, pictures)


def trace_pictures(tracing: Tracing) -> list[Picture]:
    """Return the figures that layers.json has the numbers for."""
    title = "Indirect effect, layer by layer"
    found = [picture("trace_effects", title, _meaning(tracing), (WIDTH, 3.3), draw_effects, tracing)]
    if tracing.effects.severed_gaps:
        found.append(picture("trace_severed", "Severed paths", SEVERED, (WIDTH, 3.4), draw_severed, tracing))
    curves = group_curves(tracing)
    if (groups := max(map(len, curves.values()))) > 1:
        size = (WIDTH, 0.5 + (0.5 + 0.23 * groups) * len(curves))
        found.append(picture("trace_groups", "Which tokens carry it", TOKENS, size, draw_groups, tracing))
    size = (WIDTH, 1.9 + 0.26 * len(choices(tracing.selection)))
    found.append(picture("trace_selection", "The choice of layers", CHOICE, size, draw_selection, tracing.selection))
    return found


def draw_effects(figure: Any, tracing: Tracing) -> None:
    """Draw the indirect effect by layer for each kind, with interval, band and placebo; chosen layers are shaded."""
    selection = tracing.selection
    effects = [item for item in tracing.effects.restorations if item.restoration.severed is None]
    kinds = list(dict.fromkeys(item.restoration.kind for item in effects))
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    decides = f"window {selection.window} decides" if selection.window > 1 else "decides"
    for axis, kind in zip(axes, kinds, strict=True):
        _layer_axis(axis, selection, f"{kind} ({decides})" if kind is selection.module else str(kind))
        for item in (item for item in effects if item.restoration.kind is kind):
            window = item.restoration.window
            name = f"window {window}" if window > 1 else "single modules"
            if item.placebo is not None:
                _draw_curve(axis, item.placebo, PLACEBO, "placebo: another person's states", "", window)
            _draw_curve(axis, item.effect, KINDS[kind], name, "" if window > 1 else MARKERS[kind], window)
            _draw_band(axis, item.effect, KINDS[kind])
    axes[0].set_ylabel(f"indirect effect, {selection.metric.unit}")
    shared_legend(figure, "lower center", 6)


def draw_severed(figure: Any, tracing: Tracing) -> None:
    """Draw the effects of layers with the path through MLPs or attention cut, and what each cut takes away."""
    effects = tracing.effects
    left, right = figure.subplots(1, 2)
    _layer_axis(left, tracing.selection, "Effect of the layer's output")
    _layer_axis(right, tracing.selection, "What each cut takes away")
    whole = effects.of(Restoration(ModuleKind.layer)).effect
    _draw_curve(left, whole, KINDS["layer"], "all paths", MARKERS["layer"])
    for kind, gap in effects.severed_gaps.items():
        cut = effects.of(Restoration(ModuleKind.layer, severed=ModuleKind(kind))).effect
        _draw_curve(left, cut, KINDS[kind], f"{kind} severed", MARKERS[kind])
        _draw_band(right, gap, KINDS[kind])
        _draw_curve(right, gap, KINDS[kind], f"through {kind}", MARKERS[kind])
    left.set_ylabel(f"indirect effect, {effects.metric.unit}")
    right.set_ylabel(f"difference, {effects.metric.unit}")
    shared_legend(figure, "lower center", 4)


def _layer_axis(axis: Any, selection: Selection, title: str) -> None:
    for layer in selection.layers:
        axis.axvspan(layer - 0.5, layer + 0.5, color=CHOSEN, alpha=0.2, linewidth=0, label="chosen")
    axis.axhline(0, color=MUTED, linewidth=0.8)
    axis.grid(axis="x", visible=False)
    axis.set(title=title, xlabel="layer", xlim=(-0.7, selection.layers_total - 0.3))
    axis.xaxis.set_major_locator(MaxNLocator(9, integer=True))


def _draw_curve(axis: Any, curve: EffectCurve, colour: str, name: str, marker: str, window: int = 1) -> None:
    """Draw the mean of each layer, dashed for windows, and its interval."""
    layers, dashes = range(len(curve.mean)), "-" if window == 1 else "--"
    axis.plot(layers, curve.mean, color=colour, linestyle=dashes, marker=marker, markersize=2.8, label=name)
    axis.fill_between(layers, curve.low, curve.high, color=colour, alpha=0.32, linewidth=0, label="95% interval")


def _draw_band(axis: Any, curve: EffectCurve, colour: str) -> None:
    layers, name = range(len(curve.mean)), "95% band, all layers at once"
    axis.fill_between(layers, curve.band_low, curve.band_high, color=colour, alpha=0.14, linewidth=0, label=name)


def _meaning(tracing: Tracing) -> str:
    """Return what an indirect effect is here, and how to read it."""
    patched, source, state, verb = "the corrupted run", "the clean run", "the state", "comes back"
    if tracing.mode is TraceMode.weights:
        patched, source, state = "the base model", "the traced model", "the weights"
    if tracing.direction is Direction.noising:
        patched, source, verb = source, patched, "is lost"
    text = f"How much of the answer {verb} when one part of {patched} gets {state} it has in {source}. "
    return text + ("Estimates to first order, not measured. " if tracing.mode is TraceMode.screen else "") + EFFECTS
