"""Figures of probes: what each found in each model, and how knowledge comes back while a model relearns."""

from collections.abc import Mapping, Sequence
from typing import Any

from unlearning.probes.bootstrap import Value
from unlearning.probes.table import ModelRole, ProbeResult
from unlearning.report.style import MUTED, RETRAINED, SURFACE, TARGET

LABELS = {
    ModelRole.target: "untouched target",
    ModelRole.unlearned: "unlearned",
    ModelRole.retrained: "retrained model",
}
MARKERS = {ModelRole.target: ("s", 34), ModelRole.unlearned: ("o", 42), ModelRole.retrained: ("*", 95)}
DODGE = {ModelRole.target: 0.17, ModelRole.unlearned: 0.0, ModelRole.retrained: -0.17}
"""Models that found the same stand above one another."""
SHOWN_SHARE = (-0.3, 1.3)
"""Shares beyond are drawn at the edge, with their number."""


def draw_probes(figure: Any, lines: Sequence[ProbeResult], colour: str) -> None:
    """Draw a line for each probe: the value of every model, and the share recovered with its interval."""
    values, shares = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    places = range(len(lines), 0, -1)
    for place, line in zip(places, lines, strict=True):
        if line.chance:
            values.plot([line.chance] * 2, [place - 0.32, place + 0.32], color=MUTED, linewidth=1.4)
        for role, value in line.values.items():
            _draw_value(values, ModelRole(role), value, place + DODGE[ModelRole(role)], colour)
        _draw_share(shares, line, place, colour)
    values.set_yticks(list(places), [line.name for line in lines])
    values.set(title="value", xlim=(-0.04, 1.04), ylim=(0.4, len(lines) + 0.6))
    shares.set(title="share recovered", xlim=(SHOWN_SHARE[0] - 0.06, SHOWN_SHARE[1] + 0.2))
    for edge in (0, 1):
        shares.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
    floor = "retrained model" if any(ModelRole.retrained in line.values for line in lines) else "chance"
    shares.set_xticks([0, 0.5, 1], [f"0\n{floor}", "0.5", "1\ntarget"])
    measured = [role for role in ModelRole if any(role in line.values for line in lines)]
    handles = [
        values.scatter([], [], MARKERS[role][1], marker=MARKERS[role][0], color=_colours(colour)[role])
        for role in measured
    ]
    figure.legend(handles, [LABELS[role] for role in measured], loc="outside upper right", ncols=len(measured))


def draw_relearning(figure: Any, lines: Sequence[ProbeResult], colour: str) -> None:
    """Draw a panel for each probe that trains: knowledge of documents that were not shown again, against steps.

    Steps stand at equal distances, since they mostly double. The dotted line is knowledge of what was shown again.
    """
    axes = figure.subplots(1, len(lines), squeeze=False, sharey=True)[0]
    colours = _colours(colour)
    for axis, line in zip(axes, lines, strict=True):
        for role, points in line.curves.items():
            shade = colours[ModelRole(role)]
            places = range(len(points))
            axis.plot(places, [point.held_out.value for point in points], color=shade, marker="o", markersize=3.5)
            low, high = ([_end(point.held_out, end) for point in points] for end in ("low", "high"))
            axis.fill_between(places, low, high, color=shade, alpha=0.13, linewidth=0)
            shown = [point.trained.value for point in points if point.trained is not None]
            if role == ModelRole.unlearned and len(shown) == len(points):
                axis.plot(places, shown, color=shade, linestyle=(0, (1, 1.6)))
            axis.set_xticks(places, [str(point.steps) for point in points])
        axis.set(title=line.name, xlabel="steps", ylim=(-0.03, 1.03))
    axes[0].set_ylabel(lines[0].measure)
    handles = [axes[0].plot([], [], color=colours[role])[0] for role in ModelRole if _has(lines, role)]
    figure.legend(
        handles,
        [LABELS[role] for role in ModelRole if _has(lines, role)],
        loc="outside upper right",
        ncols=len(handles),
    )


def _colours(colour: str) -> Mapping[ModelRole, str]:
    return {ModelRole.target: TARGET, ModelRole.unlearned: colour, ModelRole.retrained: RETRAINED}


def _has(lines: Sequence[ProbeResult], role: ModelRole) -> bool:
    return any(role in line.curves for line in lines)


def _draw_value(axis: Any, role: ModelRole, value: Value, place: float, colour: str) -> None:
    shade = _colours(colour)[role]
    marker, size = MARKERS[role]
    axis.plot([_end(value, "low"), _end(value, "high")], [place, place], color=shade, linewidth=2.2, alpha=0.35)
    axis.scatter(value.value, place, size, color=shade, marker=marker, zorder=3, edgecolor=SURFACE, linewidth=0.7)


def _draw_share(axis: Any, line: ProbeResult, place: int, colour: str) -> None:
    share = line.share
    if share is None:
        text = "does not apply" if line.reason else "no share"
        axis.text(0.5, place, text, ha="center", va="center", color=MUTED, fontsize=7.5, fontstyle="italic")
        return
    low, high = (min(max(_end(share, end), SHOWN_SHARE[0]), SHOWN_SHARE[1]) for end in ("low", "high"))
    inside = min(max(share.value, SHOWN_SHARE[0]), SHOWN_SHARE[1])
    axis.plot([low, high], [place, place], color=colour, linewidth=2.2, alpha=0.35)
    axis.scatter(inside, place, 42, color=colour, zorder=3, edgecolor=SURFACE, linewidth=0.7)
    axis.text(high + 0.03, place, f"{share.value:.2f}".replace("-", "−"), va="center", fontsize=7.5, color=colour)


def _end(value: Value, end: str) -> float:
    found: float | None = getattr(value, end)
    return value.value if found is None else found
