"""Figures of causal tracing with a cell for each layer: effects of tokens, or groups of them; the choice of layers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from unlearning.mediation.person_bootstrap import EffectCurve
from unlearning.mediation.result import METRICS, FactTrace, Metric, TraceResult, indirect
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration, Site
from unlearning.mediation.tracing import Tracing
from unlearning.report.style import DIVERGING, GRID, INK, KINDS, MUTED, ON_DARK, ON_LIGHT, SURFACE

GROUPS = (
    *("before", "subject", "first_subject", "middle_subject", "last_subject", "first_after", "further", "last"),
    "weights",
)
"""Groups of tokens (`Site.group`) in the order of the prompt."""
LONGEST_PROMPT, LONGEST_ROW = 100, 22
"""Characters shown of a prompt, its end, and of the tokens beside a row."""
MOST_NUMBERS = 32
"""Layers up to which a cell has room for its number."""


def widest(restorations: Iterable[Restoration]) -> list[Restoration]:
    """Return a restoration for each kind, without severed paths: the window where there is one, as it decides."""
    by_window = sorted(restorations, key=lambda item: item.window)
    return list({item.kind: item for item in by_window if item.severed is None}.values())


def group_curves(tracing: Tracing) -> dict[str, dict[str, EffectCurve]]:
    """Return the effects of each of the `widest` restorations by token group, both by their names for people."""
    effects = tracing.effects
    found = [effects.of(item) for item in widest(own.restoration for own in effects.restorations)]
    return {
        item.restoration.label: {key.replace("_", " "): item.by_group[key] for key in GROUPS if key in item.by_group}
        for item in found
    }


def draw_groups(figure: Any, tracing: Tracing) -> None:
    """Draw the mean indirect effect by token group and layer, with a dot where the interval excludes 0."""
    curves = group_curves(tracing)
    means = {label: np.array([curve.mean for curve in own.values()]) for label, own in curves.items()}
    axes = figure.subplots(len(curves), 1, squeeze=False, sharex=True, gridspec_kw={"hspace": 0.1})[:, 0]
    unit = f"indirect effect, {tracing.selection.metric.unit}"
    largest = _draw_maps(figure, axes, means, list(next(iter(curves.values()))), unit)
    axes[0].xaxis.set_major_locator(MaxNLocator(40, integer=True))
    for axis, (label, own) in zip(axes, curves.items(), strict=True):
        low, high = (np.array([getattr(curve, end) for curve in own.values()]) for end in ("low", "high"))
        _write_cells(axis, means[label], (low > 0) | (high < 0), largest)
        axis.label_outer()


def draw_fact(figure: Any, trace: FactTrace, result: TraceResult, metric: Metric) -> None:
    """Draw one fact's indirect effects by token and layer; tokens of the subject have an asterisk.

    Corrupted runs are averaged. Each kind has a panel. The prompt and the total effect stand above.
    """
    column, shown = METRICS.index(metric), widest(result.restorations)
    effects = indirect(trace.patched, trace.clean, trace.corrupted, result.direction)[..., column].mean(-1)
    panels = {item.label: effects[result.restorations.index(item)].T for item in shown}
    total = trace.clean[column] - trace.corrupted[:, column].mean()
    # A chat template may stand before the question, and be longer.
    prompt = " ".join("".join(trace.tokens).split())[-LONGEST_PROMPT:]
    title = f"{trace.relation.replace('_', ' ')}: {prompt}\ntotal effect {total:z.2f} {metric.unit}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=INK)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    _draw_maps(figure, axes, panels, [_row(trace, site) for site in trace.sites], f"effect, {metric.unit}")


def draw_selection(figure: Any, selection: Selection) -> None:
    """Draw how often each layer is chosen in resamples, over the layers that the rule and each baseline choose."""
    rows, colour, layers = choices(selection), KINDS[selection.module], range(selection.layers_total)
    bars, table = figure.subplots(2, 1, sharex=True, height_ratios=(1.1, 0.3 * len(rows)))
    shades = [to_rgba(colour, 1.0 if layer in selection.layers else 0.35) for layer in layers]
    bars.bar(layers, selection.inclusion, 0.8, color=shades)
    bars.set(ylim=(0, 1.05), ylabel="share of\nresamples")
    bars.set_yticks((0, 0.5, 1), ("0", "½", "1"))
    bars.grid(visible=False)
    chosen = np.array([[layer in own for layer in layers] for own in rows.values()], dtype=float)
    chosen[0] *= 2  # The rule's own choice has the colour of its kind.
    _draw_cells(table, list(rows), chosen, ListedColormap([GRID, MUTED, colour]), (0, 2)).set_linewidth(4)
    table.xaxis.set_major_locator(MaxNLocator(40, integer=True))


def choices(selection: Selection) -> dict[str, tuple[int, ...]]:
    """Return layers by what chose them: the rule, the same rule without the window, then the baselines."""
    without = {"window 1": selection.layers_window_1} if selection.window > 1 else {}
    return {"chosen": selection.layers, **without, **selection.baselines}


def short(value: float) -> str:
    """Return a number for a cell: two digits, without the zero before the point."""
    text = f"{value:z.2f}" if abs(value) < 0.995 else f"{value:.2g}"
    return text.replace("0.", ".", 1).replace("-", "−")


def _row(trace: FactTrace, site: Site) -> str:
    """Return the tokens of a site in quotation marks, those of the subject with an asterisk."""
    text = "".join(trace.tokens[position] for position in site.positions)
    text = repr(text if len(text) <= LONGEST_ROW else f"{text[: LONGEST_ROW - 1]}…")
    return f"{text} *" if site.group.endswith("subject") else text


def _draw_maps(
    figure: Any, axes: Sequence[Any], panels: Mapping[str, NDArray[np.float64]], rows: Sequence[str], unit: str
) -> float:
    """Draw each title's values (rows, L) with one scale around 0 and its colour bar; return the end of the scale."""
    largest = max(float(np.abs(values).max()) for values in panels.values()) or 1.0
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        mesh = _draw_cells(axis, rows, values, DIVERGING, (-largest, largest))
        axis.set_title(title)
    figure.colorbar(mesh, ax=axes, label=unit, pad=0.012, fraction=0.05, aspect=30).outline.set_visible(False)
    return largest


def _draw_cells(
    axis: Any, rows: Sequence[str], values: NDArray[np.float64], colours: Any, ends: tuple[float, float]
) -> Any:
    """Draw a coloured cell for each row and layer, `values` (rows, L), on a scale with these ends; return the mesh."""
    height, depth = values.shape
    mesh = axis.pcolormesh(range(depth), range(height), values, cmap=colours, edgecolors=SURFACE, linewidth=0.4)
    mesh.set_clim(*ends)
    axis.set_yticks(range(height), rows)
    axis.set(xlabel="layer", xlim=(-0.5, depth - 0.5), ylim=(height - 0.5, -0.5))
    axis.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return mesh


def _write_cells(axis: Any, values: NDArray[np.float64], marked: NDArray[np.bool_], largest: float) -> None:
    """Write the number of each cell where there is room, and a dot into those that are marked."""
    # Only the ends of the scale are dark.
    colours = np.where(np.abs(values) > 0.6 * largest, ON_DARK, ON_LIGHT)
    numbers = values.shape[1] <= MOST_NUMBERS
    rows, layers = np.nonzero(marked)
    axis.scatter(layers, rows + (0.36 if numbers else 0.0), 4, color=colours[marked], linewidth=0)
    for (row, layer), value in np.ndenumerate(values) if numbers else ():
        axis.text(layer, row - 0.06, short(value), ha="center", va="center", fontsize=6.4, color=colours[row, layer])
