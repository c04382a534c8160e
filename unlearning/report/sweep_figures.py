"""Figures of a sweep: what each setting that was varied did to the score, and the way from settings to score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from pandas import Series

from unlearning.report.runs import Run
from unlearning.report.sensitivity import MEASURES, Sensitivity, SweptKey
from unlearning.report.settings import short_number
from unlearning.report.style import INK, METHODS, MUTED, SURFACE

MAX_KEYS, MAX_LEVELS = 6, 24
"""Settings, and values of one setting, that the figure of sensitivity has room for."""
MAX_AXES = 7
"""Settings that have an axis of parallel coordinates."""
SCORES = ("#b8a07a", "#8d97a6", "#4f86e0", "#2f6fde")
"""From the least score to the greatest, legible on light and on dark pages."""
_NAMED_TICKS = 6
"""Numbers that are written at an axis; of more, the ends and the middle."""
_LINE = 0.045
"""Height of a line of text as a share of an axis."""
_SPREAD = 0.09
"""Width of lines that cross an axis at the same place, as a share of the axis."""


def drawn_keys(items: Sequence[Sensitivity]) -> list[Sensitivity]:
    """Return those that have a row in the figure of sensitivity."""
    return [item for item in items if item.explained["final"] is not None and len(item.levels) <= MAX_LEVELS][:MAX_KEYS]


def sensitivity_size(items: Sequence[Sensitivity]) -> tuple[float, float]:
    """Return width and height in inches."""
    return 10.0, 0.7 + sum(_height(item) for item in items)


def draw_sensitivity(figure: Any, items: Sequence[Sensitivity], runs: Sequence[Run]) -> None:
    """Draw a row for each setting, a column for each measure: every run a point, the mean of each value a bar."""
    heights = [_height(item) for item in items]
    axes = figure.subplots(
        len(items), len(MEASURES), squeeze=False, sharex="col", sharey="row", gridspec_kw={"height_ratios": heights}
    )
    for row, item in zip(axes, items, strict=True):
        for axis, measure in zip(row, MEASURES, strict=True):
            _draw_levels(axis, item, runs, measure)
        row[0].set_yticks(range(len(item.levels)), item.levels, color=INK)
        row[0].set_ylim(len(item.levels) - 0.4, -0.6)
        row[0].set_title(item.key.name)
    for axis, (measure, name) in zip(axes[-1], MEASURES.items(), strict=True):
        axis.set_xlabel(name)
        axis.locator_params(axis="x", nbins=4)
        if all(run.metrics.get(measure) is None for run in runs):
            axis.set_xlim(0, 1)


def _draw_levels(axis: Any, item: Sensitivity, runs: Sequence[Run], measure: str) -> None:
    values = Series([run.metrics.get(measure) for run in runs], dtype=float).dropna()
    places = Series(item.places)[values.index]
    # Runs of one value lie in three lines, so that fewer of them cover one another.
    heights = places + 0.18 * (values.groupby(places).rank(method="first") % 3 - 1)
    axis.scatter(values, heights, 17, color=METHODS[0], alpha=0.65, linewidth=0, zorder=3)
    means = item.table[measure].dropna()
    if len(means) and item.key.numbers is not None:
        axis.plot(means, means.index, color=INK, linewidth=1, alpha=0.6, zorder=2)
    axis.vlines(means, means.index - 0.32, means.index + 0.32, color=INK, linewidth=2, zorder=4)
    explained = item.explained[measure]
    if explained is not None:
        axis.set_title(f"η² {explained:.2f}", loc="right", fontweight="normal", fontsize=8, color=MUTED)


def _height(item: Sensitivity) -> float:
    return 0.5 + 0.27 * len(item.levels)


@dataclass(frozen=True)
class ParallelAxis:
    """One upright axis: where each run crosses it, from 0 to 1, and what is written at it."""

    name: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def draw_parallel(figure: Any, axes: Sequence[ParallelAxis], finals: Sequence[float], bold: Sequence[bool]) -> None:
    """Draw every run as a line from axis to axis, in the colour of its score; the best on top, `bold` ones thick."""
    colours, scores = LinearSegmentedColormap.from_list("scores", SCORES), np.array(finals)
    shares = (scores - scores.min()) / (np.ptp(scores) or 1.0)
    canvas = figure.subplots()
    for rank, index in enumerate(np.argsort(scores)):
        width, alpha = (2.8, 1.0) if bold[index] else (1.3, 0.8)
        places = [axis.places[index] for axis in axes]
        canvas.plot(places, color=colours(shares[index]), linewidth=width, alpha=alpha, zorder=2 + rank / len(finals))
    for place, axis in enumerate(axes):
        canvas.vlines(place, -_SPREAD, 1 + _SPREAD, color=MUTED, linewidth=0.8, zorder=1.5)
        x, side = (place - 0.03, "right") if place == 0 else (place + 0.03, "left")
        for height, text in axis.ticks:
            box = {"facecolor": SURFACE, "alpha": 0.8, "linewidth": 0, "pad": 1.2}
            canvas.text(x, height, text, ha=side, va="center", fontsize=8, color=INK, bbox=box, zorder=4)
        shade = INK if place == len(axes) - 1 else MUTED
        canvas.text(place, 1.16, axis.name, ha="center", fontsize=8.5, fontweight="bold", color=shade)
    canvas.set(xlim=(-0.45, len(axes) - 0.75), ylim=(-0.1, 1.24))
    canvas.axis("off")


def parallel_axes(keys: Sequence[SweptKey], finals: Sequence[float]) -> list[ParallelAxis]:
    """Return an axis for each setting, then that of the final score.

    Lines that would cover each other at an axis lie side by side there, the better one above.
    """
    ends = sorted({min(finals), max(finals)})
    places = [0.5] if len(ends) == 1 else [0.0, 1.0]
    ticks = tuple((place, f"{end:.3f}") for place, end in zip(places, ends, strict=True))
    return [*(_axis(key, finals) for key in keys), ParallelAxis("final score", tuple(_scaled(finals)), ticks)]


def _axis(key: SweptKey, finals: Sequence[float]) -> ParallelAxis:
    numbers, labels = key.numbers, key.labels
    if numbers is None:
        places = _scaled([key.levels.index(text) for text in key.texts])
    else:
        places = _scaled(np.log(numbers) if key.is_logarithmic else numbers)
    named = {place: labels[text] for place, text in zip(places, key.texts, strict=True)}
    if numbers is not None and len(key.levels) > _NAMED_TICKS:
        low, high = min(numbers), max(numbers)
        middle = math.sqrt(low * high) if key.is_logarithmic else (low + high) / 2
        named = {0.0: short_number(repr(low), 3), 0.5: f"{middle:.3g}", 1.0: short_number(repr(high), 3)}
    name = key.name + (" (log)" if key.is_logarithmic else "")
    return ParallelAxis(name, tuple(_side_by_side(places, finals)), tuple(_apart(named).items()))


def _scaled(values: Any) -> list[float]:
    """Return numbers stretched to 0 to 1, and 0.5 where all are the same."""
    array = np.asarray(values, dtype=float)
    scaled: list[float] = ((array - array.min()) / np.ptp(array)).tolist() if np.ptp(array) else [0.5] * len(array)
    return scaled


def _apart(named: Mapping[float, str]) -> dict[float, str]:
    """Return the ticks without those that would be written over the one before."""
    kept: dict[float, str] = {}
    for place in sorted(named):
        if not kept or place - max(kept) >= _LINE:
            kept[place] = named[place]
    return kept


def _side_by_side(places: Sequence[float], finals: Sequence[float]) -> list[float]:
    width = min([_SPREAD, *(0.7 * np.diff(np.unique(places)))])
    groups = Series(finals).groupby(list(places))
    offsets = (groups.rank(method="first") - 1) / (groups.transform("size") - 1)
    spread: list[float] = (np.array(places) + width * (offsets.fillna(0.5) - 0.5)).tolist()
    return spread
