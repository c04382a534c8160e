"""Figures of causal tracing along the layers: indirect effects, severed paths, the choice of layers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, MultipleLocator

from unlearning.config.scope import ModuleKind
from unlearning.mediation.effects import Effects, RestorationEffects
from unlearning.mediation.person_bootstrap import EffectCurve
from unlearning.mediation.result import Metric
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration
from unlearning.report.details import Tracing
from unlearning.report.style import CHOSEN, GRID, INK, KINDS, MUTED, PLACEBO

UNITS = {
    Metric.PROBABILITY: "probability",
    Metric.LOG_PROBABILITY: "nats",
    Metric.LOGIT_DIFFERENCE: "logits",
    Metric.ANSWER_LOG_PROBABILITY: "nats a token",
}
SINGLE, WINDOWED = "-", (0, (4, 1.6))
INTERVAL, BAND = 0.32, 0.14
"""Opacity of the 95% interval of each layer, and of the band that holds all layers at once."""
MARKERS = {"layer": "o", "mlp": "s", "attention": "^"}


def by_kind(effects: Effects) -> dict[ModuleKind, list[RestorationEffects]]:
    """Return the effects without severed paths by kind: of single modules and, where traced, of a window of them."""
    kinds: dict[ModuleKind, list[RestorationEffects]] = {}
    for item in effects.restorations:
        if item.restoration.severed is None:
            kinds.setdefault(item.restoration.kind, []).append(item)
    return kinds


def draw_effects(figure: Any, tracing: Tracing) -> None:
    """Draw the indirect effect by layer for each kind, with interval, band and placebo; chosen layers are shaded."""
    kinds = by_kind(tracing.effects)
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for axis, (kind, curves) in zip(axes, kinds.items(), strict=True):
        _layer_axis(axis, tracing.selection)
        for item in curves:
            if item.placebo is not None:
                _draw_curve(axis, item.placebo, PLACEBO, _dashes(item.restoration), marker="", band=False)
        for item in curves:
            marker = "" if item.restoration.window > 1 else MARKERS[kind]
            _draw_curve(axis, item.effect, KINDS[kind], _dashes(item.restoration), marker, band=True)
        axis.set_title(_title(kind, tracing))
    axes[0].set_ylabel(f"indirect effect, {UNITS[tracing.selection.metric]}")
    figure.legend(handles=_keys(kinds.values()), loc="outside lower center", ncols=6)


def draw_severed(figure: Any, tracing: Tracing) -> None:
    """Draw the effects of layers with the path through MLPs or attention cut, and what each cut takes away."""
    effects = tracing.effects
    left, right = figure.subplots(1, 2)
    curves = {"layer": effects.of(Restoration(ModuleKind.layer))}
    for kind in effects.severed_gaps:
        curves[kind] = effects.of(Restoration(ModuleKind.layer, severed=ModuleKind(kind)))
    for axis, title in ((left, "Effect of the layer's output"), (right, "What each cut takes away")):
        _layer_axis(axis, tracing.selection)
        axis.set_title(title)
    for kind, item in curves.items():
        label = "all paths" if kind == "layer" else f"{kind} severed"
        _draw_curve(left, item.effect, KINDS[kind], SINGLE, MARKERS[kind], band=False, label=label)
    for kind, gap in effects.severed_gaps.items():
        _draw_curve(right, gap, KINDS[kind], SINGLE, MARKERS[kind], band=True, label=f"through {kind}")
    left.set_ylabel(f"indirect effect, {UNITS[effects.metric]}")
    right.set_ylabel(f"difference, {UNITS[effects.metric]}")
    for axis in (left, right):
        axis.legend()


def draw_selection(figure: Any, selection: Selection) -> None:
    """Draw how often each layer is chosen in resamples, over the layers that the rule and each baseline choose."""
    rows = choices(selection)
    heights = (1.1, 0.3 * len(rows))
    bars, table = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    colour = KINDS[selection.module]
    layers = range(selection.layers_total)
    for layer, share in zip(layers, selection.inclusion, strict=True):
        bars.bar(layer, share, 0.8, color=colour, alpha=1.0 if layer in selection.layers else 0.35, linewidth=0)
    bars.set(ylim=(0, 1.05), ylabel="share of\nresamples")
    bars.set_yticks((0, 0.5, 1), ("0", "½", "1"))
    for place, (name, chosen) in enumerate(rows.items()):
        others = [layer for layer in layers if layer not in chosen]
        for own, shade in ((others, GRID), (chosen, colour if name == "chosen" else MUTED)):
            table.broken_barh([(layer - 0.4, 0.8) for layer in own], (place - 0.36, 0.72), color=shade, linewidth=0)
    table.set_yticks(range(len(rows)), rows)
    table.set(ylim=(len(rows) - 0.5, -0.5), xlabel="layer", xlim=(-0.6, selection.layers_total - 0.4))
    for axis in (bars, table):
        axis.grid(visible=False)
    for side in ("left", "bottom"):
        table.spines[side].set_visible(False)
    table.xaxis.set_major_locator(_ticks(selection.layers_total, 40))


def choices(selection: Selection) -> dict[str, tuple[int, ...]]:
    """Return layers by what chose them: the rule, the same rule without the window, then the baselines."""
    rows = {"chosen": selection.layers}
    if selection.window > 1:
        rows["window 1"] = selection.layers_window_1
    order = ("first", "middle", "last", "random", "gradient", "fisher")
    known = [name for name in order if name in selection.baselines]
    return rows | {name: selection.baselines[name] for name in known}


def _layer_axis(axis: Any, selection: Selection) -> None:
    for layer in selection.layers:
        axis.axvspan(layer - 0.5, layer + 0.5, color=CHOSEN, alpha=0.2, linewidth=0)
    axis.axhline(0, color=MUTED, linewidth=0.8)
    axis.grid(axis="x", visible=False)
    axis.set(xlabel="layer", xlim=(-0.7, selection.layers_total - 0.3))
    axis.xaxis.set_major_locator(_ticks(selection.layers_total, 9))


def _ticks(depth: int, most: int) -> Any:
    """Return a tick for each layer where there is room, else for some of them."""
    return MultipleLocator(1) if depth <= most else MaxNLocator(most, integer=True)


def _draw_curve(
    axis: Any, curve: EffectCurve, colour: str, dashes: Any, marker: str, band: bool, label: str | None = None
) -> None:
    """Draw mean, interval and band of one curve."""
    layers = range(len(curve.mean))
    if band:
        axis.fill_between(layers, curve.band_low, curve.band_high, color=colour, alpha=BAND, linewidth=0)
    axis.fill_between(layers, curve.low, curve.high, color=colour, alpha=INTERVAL, linewidth=0)
    size = 3.2 if len(curve.mean) <= 20 else 2.2 if len(curve.mean) <= 40 else 0
    axis.plot(layers, curve.mean, color=colour, linestyle=dashes, marker=marker, markersize=size, label=label)


def _dashes(restoration: Restoration) -> Any:
    return WINDOWED if restoration.window > 1 else SINGLE


def _title(kind: ModuleKind, tracing: Tracing) -> str:
    if kind is not tracing.selection.module:
        return str(kind)
    window = f"window {tracing.selection.window} " if tracing.selection.window > 1 else ""
    return f"{kind} ({window}decides)"


def _keys(curves: Iterable[Sequence[RestorationEffects]]) -> list[Any]:
    """Return a legend entry for each line style and shade that occurs."""
    drawn = [item for own in curves for item in own]
    windows = sorted({item.restoration.window for item in drawn})
    dashes: Mapping[int, Any] = {window: SINGLE if window == 1 else WINDOWED for window in windows}
    names = {1: "single modules" if len(windows) > 1 else "mean"}
    keys: list[Any] = [
        Line2D([], [], color=INK, linestyle=dashes[window], label=names.get(window, f"window {window}"))
        for window in windows
    ]
    keys.append(Patch(color=MUTED, alpha=INTERVAL + BAND, linewidth=0, label="95% interval"))
    keys.append(Patch(color=MUTED, alpha=BAND, linewidth=0, label="95% band, all layers at once"))
    if any(item.placebo for item in drawn):
        keys.append(Line2D([], [], color=PLACEBO, label="placebo: another person's states"))
    keys.append(Patch(color=CHOSEN, alpha=0.3, linewidth=0, label="chosen"))
    return keys
