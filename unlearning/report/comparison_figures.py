"""Figures that compare several methods: their scores, and what each setting that was varied did to them."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch
from pandas import Series

from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.pareto import Point, front_labels, measured_panels, method_front, points
from unlearning.report.runs import Run
from unlearning.report.sensitivity import MEASURES, Sensitivity, SweptKey
from unlearning.report.style import INK, METHODS, MUTED, ON_DARK, SURFACE, method_colours, shared_legend

PARTS = {"task_aggregate": 1.0, "mia_score": 0.55, "utility": 0.3}
"""The opacity of each part of the final score."""
MAX_LEGEND, MAX_BARS = 16, 24
"""Methods that a legend names, of more only those on a front; and bars of the final score, of more methods the best."""
MAX_KEYS, MAX_LEVELS = 6, 24
"""Settings, and values of one setting, that the figure of sensitivity has room for."""
MAX_AXES, MAX_TICKS = 7, 16
"""Settings that have an axis of parallel coordinates, and values that are named at one."""
SCORES = LinearSegmentedColormap.from_list("scores", ("#b8a07a", "#8d97a6", "#4f86e0", "#2f6fde"))
"""From the least score to the greatest, legible on light and on dark pages."""
_MARKERS = {"target": ("s", 55), "retrained": ("*", 130), "method": ("o", 55)}


def draw_tradeoff(figure: Any, rows: Sequence[ComparisonRow], colours: Mapping[str, str]) -> None:
    """Draw forgetting against what was kept: the retain rows on the left, the utility questions on the right, if asked.

    Methods that no other method dominates have a ring; the line through them bounds what was reached. Of very many
    methods only these have a colour, which is their own in this figure, and a name in the legend.
    """
    if len(rows) > MAX_LEGEND:
        fronts = front_labels(rows).values()
        colours = method_colours(row.label for row in rows if any(row.label in front for front in fronts))
    panels = measured_panels(rows)
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axis.set(title=panel.title, xlabel="forgetting: 1 − mean of forget R-L and EM", ylabel=panel.axis)
        axis.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.12))
        for point in points(rows, panel):
            _draw_point(axis, point, colours.get(point.row.label))
        front = method_front(rows, panel)
        # The boundary of what the front dominates goes down at a point's x, then level with the next.
        places = [point.x for point in front], [point.y for point in front]
        axis.plot(*places, drawstyle="steps-pre", color=INK, linewidth=1, alpha=0.55, zorder=2)
        axis.scatter(*places, 120, facecolor="none", edgecolor=INK, linewidth=1.1, zorder=4)
        axis.text(1.05, 1.08, "better ↗", ha="right", va="center", color=MUTED, fontsize=8)
    longest = max((len(row.label) for row in rows), default=0)
    shared_legend(figure, "lower center", 3 if longest < 40 else 2)


def _draw_point(axis: Any, point: Point, colour: str | None) -> None:
    """Draw a model's mark and the interval or range of what it kept; grey and without a name if it has no colour."""
    look = {"color": colour, "alpha": 1.0, "label": point.row.label} if colour else {"color": MUTED, "alpha": 0.45}
    if point.ends is not None:
        axis.vlines(point.x, *point.ends, color=look["color"], linewidth=1, alpha=0.7 if colour else 0.3)
    marker, size = _MARKERS[point.row.role]
    axis.scatter(point.x, point.y, size, marker=marker, edgecolor=SURFACE, linewidth=0.8, zorder=3, **look)


def draw_final(figure: Any, rows: Sequence[ComparisonRow], colours: Mapping[str, str]) -> None:
    """Draw each model's final score as the sum of its three thirds; the whisker is its interval or its range."""
    axis, ordered = figure.subplots(), bars(rows)
    places, ends = range(len(ordered)), np.zeros(len(ordered))
    own = [colours[row.label] for row in ordered]
    for key, alpha in PARTS.items():
        widths = np.array([value.mean / 3 if (value := row.values[key]) else 0.0 for row in ordered])
        drawn = axis.barh(places, widths, 0.62, ends, color=own, alpha=alpha, linewidth=0)
        numbers = [f"{3 * width:.2f}" if width > 0.045 else "" for width in widths]
        axis.bar_label(drawn, numbers, label_type="center", fontsize=7.5, color=ON_DARK if alpha == 1 else INK)
        ends += widths
    for place, end, row in zip(places, ends, ordered, strict=True):
        final = row.values["final"]
        if final is not None and final.ends[1] > final.ends[0]:
            # The middle of the bar has numbers in it.
            axis.plot(final.ends, [place - 0.2] * 2, color=INK, linewidth=1.2, marker="|", markersize=6)
        text, edge = (f"{final.mean:.3f}", max(end, final.ends[1])) if final else ("incomplete", end)
        axis.text(edge + 0.015, place, text, va="center", fontweight="bold" if final else "normal", fontsize=8.5)
    axis.set_yticks(places, [fill(row.label, 28, break_long_words=False) for row in ordered], color=INK)
    axis.set(xlim=(0, 1.08), ylim=(-0.6, len(ordered) - 0.4))
    axis.set_xlabel("final score: mean of the three parts, higher is better")
    axis.grid(axis="y", visible=False)
    keys = [Patch(color=MUTED, alpha=alpha, linewidth=0, label=MEASURES[key]) for key, alpha in PARTS.items()]
    figure.legend(handles=keys, loc="outside upper right", ncols=len(keys))


def bars(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Return the models that have a bar, the best last; of very many methods only the best."""
    ordered = sorted(rows, key=lambda row: value.mean if (value := row.values["final"]) else -1.0)
    methods = [row.label for row in ordered if row.role == "method"][-MAX_BARS:]
    return [row for row in ordered if row.role != "method" or row.label in methods]


def drawn_keys(items: Sequence[Sensitivity]) -> list[Sensitivity]:
    """Return those that have a row in the figure of sensitivity."""
    return [item for item in items if item.explained["final"] is not None and len(item.levels) <= MAX_LEVELS][:MAX_KEYS]


def row_heights(items: Sequence[Sensitivity]) -> list[float]:
    """Return the inches of each row in the figure of sensitivity."""
    return [0.5 + 0.27 * len(item.levels) for item in items]


def draw_sensitivity(figure: Any, items: Sequence[Sensitivity], runs: Sequence[Run]) -> None:
    """Draw a row for each setting, a column for each measure: every run a point, the mean of each value a bar."""
    look = {"squeeze": False, "sharex": "col", "sharey": "row", "height_ratios": row_heights(items)}
    axes = figure.subplots(len(items), len(MEASURES), **look)
    for row, item in zip(axes, items, strict=True):
        for axis, measure in zip(row, MEASURES, strict=True):
            _draw_levels(axis, item, runs, measure)
        row[0].set_yticks(range(len(item.levels)), item.levels, color=INK)
        row[0].set(title=item.key.name, ylim=(len(item.levels) - 0.4, -0.6))
    for axis, name in zip(axes[-1], MEASURES.values(), strict=True):
        axis.set_xlabel(name)
        axis.locator_params(axis="x", nbins=4)


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
    if (explained := item.explained[measure]) is not None:
        axis.set_title(f"η² {explained:.2f}", loc="right", fontweight="normal", fontsize=8, color=MUTED)


def draw_parallel(figure: Any, keys: Sequence[SweptKey], finals: Sequence[float], bold: Sequence[bool]) -> None:
    """Draw every run as a line over an axis for each setting to its final score; the best on top, `bold` ones thick."""
    scores, canvas = Series(finals, dtype=float), figure.subplots()
    shares = (scores - scores.min()) / (np.ptp(scores) or 1.0)
    ends = {shares[index]: f"{scores[index]:.3f}" for index in (scores.argmin(), scores.argmax())}
    axes = [(key.name, *crossings(key, scores)) for key in keys] + [("final score", shares, ends)]
    for index in scores.sort_values().index:
        width, alpha = (2.8, 1.0) if bold[index] else (1.3, 0.8)
        places = [crossed[index] for _, crossed, _ in axes]
        canvas.plot(places, color=SCORES(shares[index]), linewidth=width, alpha=alpha)
    box = {"facecolor": SURFACE, "alpha": 0.8, "linewidth": 0, "pad": 1.2}
    for place, (name, _, ticks) in enumerate(axes):
        canvas.axvline(place, 0.02, 0.92, color=MUTED, linewidth=0.8, zorder=1.5)
        canvas.text(place, 1.14, name, ha="center", fontsize=8.5, fontweight="bold", color=MUTED)
        for height, text in ticks.items():
            canvas.text(place + 0.03, height, text, va="center", fontsize=8, bbox=box, zorder=4)
    canvas.set(xlim=(-0.3, len(axes) - 0.7), ylim=(-0.1, 1.2))
    canvas.axis("off")


def draw_budget(figure: Any, runs: Sequence[Run]) -> None:
    """Draw the best final score so far of each preset, over the minutes of training that its runs took till then."""
    axis, jobs = figure.subplots(), sorted(runs, key=lambda run: int(re.sub(r"\D.*", "", Path(run.place).name) or 0))
    for method, colour in zip(dict.fromkeys(run.method for run in jobs), cycle(METHODS)):
        own = [run for run in jobs if run.method == method]
        minutes = np.cumsum([run.training.get("seconds") or 0.0 for run in own]) / 60
        best = Series([run.metrics["final"] for run in own], dtype=float).cummax()
        label = f"{method}, {len(own)} run{'s' * (len(own) > 1)}"
        axis.plot(minutes, best, color=colour, drawstyle="steps-post", marker="o", markersize=3, label=label)
    axis.set(xlabel="minutes of training, in the order of the jobs", ylabel="best final score so far", ylim=(0, 1))
    shared_legend(figure, "lower center", 3)


def crossings(key: SweptKey, scores: Series) -> tuple[Series, dict[float, str]]:
    """Return at which height from 0 to 1 each run crosses a setting's axis, and what is written at which height.

    Values stand in order at equal distances; of very many only some are named. Runs of one value lie side by side, the
    better one above.
    """
    count, levels = len(key.levels), Series([key.levels.index(text) for text in key.texts])
    same = scores.groupby(levels)
    beside = (same.rank(method="first") - 0.5) / same.transform("size")
    named = range(0, count, math.ceil(count / MAX_TICKS))
    ticks = {(level + 0.5) / count: key.labels[key.levels[level]] for level in named}
    return (levels + 0.35 + 0.3 * beside) / count, ticks
