"""Figures that compare several methods."""

from collections.abc import Mapping, Sequence
from typing import Any

from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.pareto import PANELS, Point, method_front, points
from unlearning.report.style import INK, MUTED, RETRAINED, SURFACE, TARGET

PARTS = (("task_aggregate", "task aggregate"), ("mia_score", "membership score"), ("utility", "utility"))
_SHADES = (1.0, 0.55, 0.3)
MAX_LEGEND = 16
"""Points that a legend names; of more only those on a front, by numbers, and the others are grey."""
MAX_BARS = 24
"""Bars of the final score; of more methods the best."""
_REFERENCES = {"target": TARGET, "retrained": RETRAINED}
_MARKERS = {"target": ("s", 55), "retrained": ("*", 130), "method": ("o", 55)}


def row_colour(row: ComparisonRow, colours: Mapping[str, str]) -> str:
    """Return a method's own colour, or that of the target or the retrained model."""
    return _REFERENCES.get(row.role) or colours[row.label]


def draw_tradeoff(figure: Any, rows: Sequence[ComparisonRow], colours: Mapping[str, str]) -> None:
    """Draw forgetting against what was kept: the retain rows on the left, the utility questions on the right.

    Methods that no other method dominates have a ring; the line through them bounds what was reached.
    """
    crowded = len(rows) > MAX_LEGEND
    numbers = front_numbers(rows) if crowded else {}
    handles: dict[str, Any] = {}
    for axis, panel in zip(figure.subplots(1, 2), PANELS, strict=True):
        axis.set(title=panel.title, xlabel="forgetting: 1 − mean of forget R-L and EM", ylabel=panel.axis)
        axis.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.12))
        for point in points(rows, panel):
            grey = crowded and point.row.role == "method" and point.row.label not in numbers
            handle = _draw_point(axis, point, MUTED if grey else row_colour(point.row, colours), 0.45 if grey else 1.0)
            if not grey:
                number = numbers.get(point.row.label)
                handles.setdefault(f"{number}  {point.row.label}" if number else point.row.label, handle)
        front = method_front(rows, panel)
        # The boundary of what the front dominates goes down at a point's x, then level with the next.
        places = [point.x for point in front], [point.y for point in front]
        axis.plot(*places, drawstyle="steps-pre", color=INK, linewidth=1, alpha=0.55, zorder=2)
        axis.scatter(*places, 120, facecolor="none", edgecolor=INK, linewidth=1.1, zorder=4)
        _write_numbers(axis, front, numbers)
        axis.text(1.05, 1.08, "better ↗", ha="right", va="center", color=MUTED, fontsize=8)
    names = sorted(handles, key=lambda name: (handles[name].get_label() in numbers, numbers.get(name[3:], 0)))
    columns = 3 if max(map(len, names), default=0) < 40 else 2
    figure.legend([handles[name] for name in names], names, loc="outside lower center", ncols=columns)


def front_numbers(rows: Sequence[ComparisonRow]) -> dict[str, int]:
    """Return a number for each method on a front, from 1 on, in the order in which the panels show them."""
    labels = (point.row.label for panel in PANELS for point in method_front(rows, panel))
    return {label: index + 1 for index, label in enumerate(dict.fromkeys(labels))}


def legend_lines(rows: Sequence[ComparisonRow]) -> int:
    """Return how many names the legend of `draw_tradeoff` has."""
    return len(rows) if len(rows) <= MAX_LEGEND else 2 + len(front_numbers(rows))


def _write_numbers(axis: Any, front: Sequence[Point], numbers: Mapping[str, int]) -> None:
    """Write beside each point its number; points that all but coincide share a place."""
    written: dict[tuple[float, float], list[str]] = {}
    for point in front if numbers else []:
        written.setdefault((round(point.x, 2), round(point.y, 2)), []).append(str(numbers[point.row.label]))
    for place, own in written.items():
        offset = {"xytext": (6, 5), "textcoords": "offset points"}
        axis.annotate(", ".join(own), place, **offset, fontsize=7.5, fontweight="bold", color=INK)


def _draw_point(axis: Any, point: Point, colour: str, alpha: float) -> Any:
    if point.ends is not None:
        axis.vlines(point.x, *point.ends, color=colour, linewidth=1, alpha=0.7 * alpha)
    marker, size = _MARKERS[point.row.role]
    look = {"marker": marker, "color": colour, "alpha": alpha, "edgecolor": SURFACE, "lw": 0.8}
    return axis.scatter(point.x, point.y, size, zorder=3, label=point.row.label, **look)


def draw_final(figure: Any, rows: Sequence[ComparisonRow], colours: Mapping[str, str]) -> None:
    """Draw each model's final score as the sum of its three thirds; the whisker is its interval or its range."""
    axis = figure.subplots()
    ordered = bars(rows)
    for place, row in enumerate(ordered):
        left = 0.0
        for (key, name), shade in zip(PARTS, _SHADES, strict=True):
            value = row.values[key]
            width = value.mean / 3 if value else 0.0
            axis.barh(place, width, 0.62, left, color=row_colour(row, colours), alpha=shade, lw=0)
            if width > 0.045:
                centred = {"ha": "center", "fontsize": 7.5}
                ink = "#ffffff" if shade == 1 else INK
                axis.text(left + width / 2, place, f"{width * 3:.2f}", va="center", color=ink, **centred)
                if place == len(ordered) - 1:
                    axis.text(left + width / 2, place + 0.46, name, color=MUTED, **centred)
            left += width
        _write_total(axis, place, left, row)
    axis.set_yticks(range(len(ordered)), [wrapped(row.label) for row in ordered], color=INK)
    axis.set(xlim=(0, 1.08), ylim=(-0.6, len(ordered) - 0.2))
    axis.set_xlabel("final score: mean of the three parts, higher is better")
    axis.grid(axis="y", visible=False)


def bars(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Return the models that have a bar, the best last; of very many methods only the best."""
    ordered = sorted(rows, key=lambda row: value.mean if (value := row.values["final"]) else -1.0)
    methods = [row for row in ordered if row.role == "method"][-MAX_BARS:]
    return [row for row in ordered if row.role != "method" or any(row is method for method in methods)]


def wrapped(label: str, width: int = 26) -> str:
    """Return a method's label over several lines, broken between its settings."""
    lines = [""]
    for part in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f", {part}" if lines[-1] else part
    return ",\n".join(lines)


def _write_total(axis: Any, place: int, end: float, row: ComparisonRow) -> None:
    final = row.values["final"]
    if final is None:
        axis.text(end + 0.015, place, "incomplete", va="center", fontsize=8, color=MUTED)
        return
    low, high = final.ends
    if high > low:
        below = place - 0.2  # The middle of the bar has numbers in it.
        axis.plot([low, high], [below, below], color=INK, linewidth=1.2, marker="|", markersize=6)
    axis.text(max(end, high) + 0.015, place, f"{final.mean:.3f}", va="center", fontweight="bold", fontsize=8.5)
