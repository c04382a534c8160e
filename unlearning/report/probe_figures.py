"""Figures of probes: what each found in each model, and what comes back with more steps or samples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unlearning.probes.bootstrap import Value
from unlearning.probes.table import ModelRole, ProbeResult
from unlearning.report.style import DASHED, MUTED, RETRAINED, SURFACE, TARGET, shared_legend

LABELS = {"target": "untouched target", "unlearned": "unlearned", "retrained": "retrained model"}
MARKERS = {"target": ("s", 34, 0.17), "unlearned": ("o", 42, 0.0), "retrained": ("*", 95, -0.17)}
"""Marker, size and shift of each model: models that found the same stand above one another."""
PANELS = 4
"""Most panels in a row."""
SHOWN_SHARE = (-0.3, 1.3)
"""Shares beyond are drawn at the edge, with their number."""


def draw_probes(figure: Any, lines: Sequence[ProbeResult], colour: str) -> None:
    """Draw a line for each probe: the value of every model, and the share recovered with its interval."""
    values, shares = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    places = range(len(lines), 0, -1)
    for place, line in zip(places, lines, strict=True):
        if line.chance:
            values.vlines(line.chance, place - 0.32, place + 0.32, color=MUTED, linewidth=1.4)
        for role in (role for role in ModelRole if role in line.values):
            _draw_value(values, role, line.values[role], place, _colours(colour)[role])
        _draw_share(shares, line, place, colour)
    values.set_yticks(places, [line.name for line in lines])
    values.set(title="value", xlim=(-0.04, 1.04), ylim=(0.4, len(lines) + 0.6))
    shares.set(title="share recovered", xlim=(SHOWN_SHARE[0] - 0.06, SHOWN_SHARE[1] + 0.2))
    for edge in (0, 1):
        shares.axvline(edge, color=MUTED, linewidth=0.9, linestyle=DASHED)
    floor = "retrained model" if any(ModelRole.retrained in line.values for line in lines) else "chance"
    shares.set_xticks((0, 0.5, 1), (f"0\n{floor}", "0.5", "1\ntarget"))
    shared_legend(figure, "upper right", len(ModelRole))


def draw_efforts(figure: Any, lines: Sequence[ProbeResult], colour: str) -> None:
    """Draw a panel for each probe with a curve: its value against what is spent, such as steps or samples.

    Efforts stand at equal distances, since they mostly double. The dotted line is the unlearned model's `beside`.
    """
    panels = figure.subplots(-(-len(lines) // PANELS), min(PANELS, len(lines)), squeeze=False, sharey=True).flat
    for line, axis in zip(lines, panels, strict=False):
        for name, points in line.curves.items():
            role, places = ModelRole(name), range(len(points))
            shade, asked = _colours(colour)[role], [point.asked for point in points]
            axis.plot(places, [one.value for one in asked], "o-", color=shade, markersize=3.5, label=LABELS[role])
            axis.fill_between(places, *np.transpose([_ends(one) for one in asked]), color=shade, alpha=0.13, lw=0)
            shown = [point.beside.value for point in points if point.beside is not None]
            if role is ModelRole.unlearned and len(shown) == len(points):
                axis.plot(places, shown, color=shade, linestyle=":")
            axis.set_xticks(places, [str(point.effort) for point in points])
        axis.set(title=line.name, xlabel=line.curve_over, ylabel=line.measure, ylim=(-0.03, 1.03))
    for axis in panels:
        axis.remove()
    shared_legend(figure, "upper right", len(ModelRole))


def _colours(colour: str) -> Mapping[ModelRole, str]:
    return {ModelRole.target: TARGET, ModelRole.unlearned: colour, ModelRole.retrained: RETRAINED}


def _draw_value(axis: Any, role: ModelRole, value: Value, place: float, colour: str) -> None:
    """Draw a model's mark over its interval."""
    marker, size, shift = MARKERS[role]
    axis.plot(_ends(value), [place + shift] * 2, color=colour, linewidth=2.2, alpha=0.35)
    look = {"marker": marker, "color": colour, "edgecolor": SURFACE, "linewidth": 0.7, "label": LABELS[role]}
    axis.scatter(value.value, place + shift, size, zorder=3, **look)


def _draw_share(axis: Any, line: ProbeResult, place: int, colour: str) -> None:
    """Draw the share with its number; what lies beyond the axis is drawn at its edge."""
    if line.share is None:
        text = "does not apply" if line.reason else "no share"
        axis.text(0.5, place, text, ha="center", va="center", color=MUTED, fontsize=7.5, fontstyle="italic")
        return
    shown, low, high = np.clip((line.share.value, *_ends(line.share)), *SHOWN_SHARE)
    _draw_value(axis, ModelRole.unlearned, Value(shown, low, high), place, colour)
    number = f"{line.share.value:.2f}".replace("-", "−")
    axis.text(high + 0.03, place, number, va="center", fontsize=7.5, color=colour)


def _ends(value: Value) -> tuple[float, float]:
    """Return the ends of the interval; the value itself twice where it has none."""
    return (value.value if value.low is None else value.low), (value.value if value.high is None else value.high)
