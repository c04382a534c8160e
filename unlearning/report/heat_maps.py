"""Heat maps of causal tracing: tokens, or groups of them, by layer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from unlearning.config.scope import ModuleKind
from unlearning.mediation.effects import RestorationEffects
from unlearning.mediation.result import METRICS, FactTrace, Metric, TraceResult, indirect
from unlearning.mediation.states import Restoration
from unlearning.report.details import Tracing
from unlearning.report.effect_figures import UNITS
from unlearning.report.style import DIVERGING, INK, ON_DARK, ON_LIGHT, SURFACE

GROUPS = {
    "before": "before the subject",
    "subject": "subject",
    "first_subject": "first subject token",
    "middle_subject": "middle subject tokens",
    "last_subject": "last subject token",
    "first_after": "first token after",
    "further": "further tokens",
    "last": "last token",
    "weights": "weights",
}
"""Names of token groups in the order of the prompt."""
LONGEST_TOKEN, BEFORE_SUBJECT, FROM_SUBJECT = 18, 45, 55
"""Characters shown of a token, and of a prompt around the beginning of its subject."""
LARGEST_NUMBER, SMALLEST_NUMBER = 7.0, 6.0
"""Points of type; cells that are too narrow for the smallest have none."""
MOST_COLUMNS = 30
"""Layers of all panels for which there is room beside one another."""
MARKS = "interval excludes 0"
BLANKS = {" ": "␣", "\n": "↵", "\t": "⇥"}


@dataclass(frozen=True)
class HeatMap:
    """One panel."""

    title: str
    rows: Sequence[str]
    values: NDArray[np.float64]
    """(rows, L)"""
    marked: NDArray[np.bool_] | None = None
    """(rows, L): cells that get a dot."""


def widest(restorations: Iterable[Restoration]) -> list[Restoration]:
    """Return a restoration for each kind, without severed paths: the window where there is one, as it decides."""
    kinds: dict[ModuleKind, Restoration] = {}
    for item in restorations:
        if item.severed is None and (item.kind not in kinds or item.window > kinds[item.kind].window):
            kinds[item.kind] = item
    return list(kinds.values())


def group_effects(tracing: Tracing) -> list[RestorationEffects]:
    """Return the effects that `draw_groups` shows, a panel each."""
    effects = tracing.effects
    return [effects.of(item) for item in widest(own.restoration for own in effects.restorations)]


def groups_of(tracing: Tracing) -> list[str]:
    """Return the traced token groups in the order of the prompt."""
    return [group for group in GROUPS if group in tracing.effects.restorations[0].by_group]


def groups_size(tracing: Tracing) -> tuple[float, float]:
    """Return the inches of `draw_groups`: panels side by side for few layers, otherwise one above the other."""
    panels, rows = len(group_effects(tracing)), len(groups_of(tracing))
    if _stacked(panels, tracing.selection.layers_total):
        return 10.0, 0.5 + panels * (0.5 + 0.23 * rows)
    return 10.0, 0.9 + 0.3 * rows


def draw_groups(figure: Any, tracing: Tracing) -> None:
    """Draw the mean indirect effect by token group and layer, with a dot where the interval excludes 0."""
    groups = groups_of(tracing)
    maps = []
    for item in group_effects(tracing):
        curves = [item.by_group[group] for group in groups]
        low, high = np.array([curve.low for curve in curves]), np.array([curve.high for curve in curves])
        means, names = np.array([curve.mean for curve in curves]), [GROUPS[group] for group in groups]
        maps.append(HeatMap(item.restoration.label, names, means, (low > 0) | (high < 0)))
    stacked = _stacked(len(maps), tracing.selection.layers_total)
    _draw(figure, maps, f"indirect effect, {UNITS[tracing.selection.metric]}", stacked)


def fact_size(trace: FactTrace) -> tuple[float, float]:
    """Return the inches of `draw_fact`."""
    return 10.0, 1.35 + 0.2 * max(4, len(trace.sites))


def draw_fact(figure: Any, trace: FactTrace, result: TraceResult, metric: Metric) -> None:
    """Draw one fact's indirect effects by token and layer; tokens of the subject have an asterisk.

    Corrupted runs are averaged. Each kind has a panel. The prompt and the total effect stand above.
    """
    column = METRICS.index(metric)
    effects = indirect(trace.patched, trace.clean, trace.corrupted, result.direction)[..., column].mean(-1)
    rows = [_row(trace, index) for index in range(len(trace.sites))]
    shown = [result.restorations.index(restoration) for restoration in widest(result.restorations)]
    maps = [HeatMap(result.restorations[place].label, rows, effects[place].T) for place in shown]
    total = trace.clean[column] - trace.corrupted[:, column].mean()
    title = f"{trace.relation.replace('_', ' ')}: {_prompt(trace)}\ntotal effect {total:z.2f} {UNITS[metric]}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=INK)
    _draw(figure, maps, f"effect, {UNITS[metric]}", stacked=False)


def visible(token: str, longest: int = LONGEST_TOKEN) -> str:
    """Return a token for an axis: blanks and control characters as signs, the end cut off where it is long."""
    signs = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in token)
    shown = "".join(BLANKS.get(char, sign) for char, sign in zip(token, signs, strict=True))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def short(value: float) -> str:
    """Return a number for a cell: two digits, without the zero before the point."""
    digits = 2 if abs(value) < 0.995 else 1 if abs(value) < 9.95 else 0
    text = f"{value:z.{digits}f}".replace("-", "−")
    return "0" if text == "0.00" else text.replace("0.", ".", 1) if digits == 2 else text


def _prompt(trace: FactTrace) -> str:
    """Return the prompt on one line, cut off at both ends: a chat template may be longer than the question."""
    first = trace.deciding_site.positions[0]
    before, after = "".join(trace.tokens[:first]), "".join(trace.tokens[first:])
    cut = f"…{before[-BEFORE_SUBJECT:]}" if len(before) > BEFORE_SUBJECT else before
    shown = visible(cut, 4 * BEFORE_SUBJECT) + visible(after, FROM_SUBJECT)
    return shown.replace(BLANKS[" "], " ").strip()


def _row(trace: FactTrace, index: int) -> str:
    """Return the tokens of a site."""
    site = trace.sites[index]
    text = visible("".join(trace.tokens[position] for position in site.positions)) or "(empty)"
    return f"{text} *" if site.group.endswith("subject") else text


def _stacked(panels: int, depth: int) -> bool:
    return panels * depth > MOST_COLUMNS


def _draw(figure: Any, maps: Sequence[HeatMap], unit: str, stacked: bool) -> None:
    """Draw panels with one colour scale, whose middle is 0."""
    shape, space = ((len(maps), 1), 0.1) if stacked else ((1, len(maps)), None)
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True, gridspec_kw={"hspace": space})
    axes = list(grid.flat)
    largest = max(float(np.abs(item.values).max()) for item in maps) or 1.0
    columns = maps[0].values.shape[1] * (1 if stacked else len(maps))
    # The longest number has four characters, which are 2.4 em wide, and fills most of a cell.
    size = min(LARGEST_NUMBER, 0.88 * 0.78 * 72 * figure.get_figwidth() / columns / 2.4)
    for axis, item in zip(axes, maps, strict=True):
        mesh = _draw_map(axis, item, largest, size)
        axis.set_xlabel("layer" if not stacked or item is maps[-1] else "")
    bar = figure.colorbar(mesh, ax=axes, label=unit, pad=0.012, fraction=0.05, aspect=30)
    bar.outline.set_visible(False)


def _draw_map(axis: Any, item: HeatMap, largest: float, size: float) -> Any:
    """Draw one panel, its numbers in `size` points where that is legible; return what the colour bar explains."""
    rows, depth = item.values.shape
    norm = Normalize(-largest, largest)
    edges = np.arange(depth + 1) - 0.5, np.arange(rows + 1) - 0.5
    mesh = axis.pcolormesh(*edges, item.values, cmap=DIVERGING, norm=norm, edgecolors=SURFACE, linewidth=0.4)
    numbers = item.marked is not None and size >= SMALLEST_NUMBER
    if item.marked is not None:
        # Only the ends of the scale are dark.
        colours = np.where(np.abs(item.values) > 0.6 * largest, ON_DARK, ON_LIGHT)
        place, layer = np.nonzero(item.marked)
        below = 0.36 if numbers else 0.0
        axis.scatter(layer, place + below, 4, color=colours[place, layer], linewidth=0, label=MARKS)
        for (row, column), value in np.ndenumerate(item.values) if numbers else ():
            look = {"ha": "center", "va": "center", "fontsize": size, "color": colours[row, column]}
            axis.text(column, row - 0.06, short(value), **look)
    axis.set_yticks(range(rows), item.rows)
    axis.set(title=item.title, ylim=(rows - 0.5, -0.5), xlim=(-0.5, depth - 0.5))
    axis.xaxis.set_major_locator(MultipleLocator(1) if numbers else MaxNLocator(9, integer=True))
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return mesh
