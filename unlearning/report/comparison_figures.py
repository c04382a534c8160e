"""Figures that hold several methods against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from unlearning.report.pareto import PANELS, Point, method_front, points
from unlearning.report.statistic import Statistic
from unlearning.report.style import INK, MUTED, RETRAINED, SURFACE, TARGET
from unlearning.report.summary import Row

PARTS = (("task_aggregate", "task aggregate"), ("mia_score", "MIA score"), ("utility", "utility"))
_SHADES = (1.0, 0.55, 0.3)
MAX_LABELS = 7
"""Points that are named where they are; more are named in a legend."""
MAX_LEGEND = 16
"""Points that a legend names; of more only those on a front, by numbers, and the others are grey."""
MAX_BARS = 24
"""Bars of the final score; of more methods the best."""
_REFERENCES = {"target": TARGET, "retrained": RETRAINED}


def row_colour(row: Row, colours: Mapping[str, str]) -> str:
    """Of a method its own, of the target and the retrained model theirs."""
    return _REFERENCES.get(row.role) or colours[row.label]


def draw_tradeoff(figure: Any, rows: Sequence[Row], colours: Mapping[str, str]) -> None:
    """Forgetting against what was kept: the retain rows on the left, the utility questions on the right.

    Methods that no other method dominates have a ring; the line through them bounds what was reached.
    """
    axes = figure.subplots(1, 2)
    crowded = len(rows) > MAX_LEGEND
    numbers = front_numbers(rows) if crowded else {}
    for axis, panel in zip(axes, PANELS, strict=True):
        axis.set(title=panel.title, xlabel="forgetting: 1 − mean of forget R-L and EM", ylabel=panel.axis)
        axis.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.12))
        found, front = points(rows, panel), method_front(rows, panel)
        for point in found:
            plain = crowded and point.row.role == "method" and point.row.label not in numbers
            _draw_point(axis, point, MUTED if plain else row_colour(point.row, colours), 0.45 if plain else 1.0)
        _draw_front(axis, front)
        if len(rows) <= MAX_LABELS:
            _label_points(axis, found, colours)
        if crowded:
            _number_points(axis, front, numbers)
        axis.text(1.05, 1.08, "better ↗", ha="right", va="center", color=MUTED, fontsize=8)
    if len(rows) > MAX_LABELS:
        _legend(figure, axes, numbers)


def front_numbers(rows: Sequence[Row]) -> dict[str, int]:
    """A number for each method on a front, from 1 on, in the order in which the panels show them."""
    labels = (point.row.label for panel in PANELS for point in method_front(rows, panel))
    return {label: index + 1 for index, label in enumerate(dict.fromkeys(labels))}


def _number_points(axis: Any, front: Sequence[Point], numbers: Mapping[str, int]) -> None:
    """Beside each point its number; points that all but coincide share a place."""
    written: list[tuple[Point, list[int]]] = []
    for point in front:
        near = next((own for other, own in written if max(abs(other.x - point.x), abs(other.y - point.y)) < 0.02), None)
        if near is None:
            written.append((point, [numbers[point.row.label]]))
        else:
            near.append(numbers[point.row.label])
    for point, own in written:
        place = {"xy": (point.x, point.y), "xytext": (6, 5), "textcoords": "offset points"}
        axis.annotate(", ".join(map(str, own)), **place, fontsize=7.5, fontweight="bold", color=INK)


def _legend(figure: Any, axes: Sequence[Any], numbers: Mapping[str, int]) -> None:
    """Below the panels; with numbers, the methods that have one, and the two models that are no methods."""
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    references = {label: handle for label, handle in found.items() if label in ("untouched target", "retrained model")}
    named = {f"{number}  {label}": found[label] for label, number in numbers.items()}
    shown = {**references, **named} if numbers else found
    columns = 3 if max(map(len, shown)) < 40 else 2
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=columns)


def _draw_point(axis: Any, point: Point, colour: str, alpha: float) -> None:
    if point.ends is not None:
        low, high = (min(1.0, max(0.0, end)) for end in point.ends)
        axis.vlines(point.x, low, high, color=colour, linewidth=1, alpha=0.7 * alpha)
    marker, size = {"target": ("s", 55), "retrained": ("*", 130)}.get(point.row.role, ("o", 55))
    place = (point.x, point.y, size)
    axis.scatter(
        *place, color=colour, marker=marker, alpha=alpha, zorder=3, edgecolor=SURFACE, lw=0.8, label=point.row.label
    )


def _draw_front(axis: Any, front: Sequence[Point]) -> None:
    """A ring around each, and the boundary of what they dominate: down at a point's x, then level with the next."""
    xs, ys = [point.x for point in front], [point.y for point in front]
    axis.plot(xs, ys, drawstyle="steps-pre", color=INK, linewidth=1, alpha=0.55, zorder=2)
    axis.scatter(xs, ys, 120, facecolor="none", edgecolor=INK, linewidth=1.1, zorder=4)


def draw_final(figure: Any, rows: Sequence[Row], colours: Mapping[str, str]) -> None:
    """Each model's final score as the sum of its three thirds; the whisker is its interval, cut at 0 and 1."""
    axis = figure.subplots()
    ordered = bars(rows)
    for place, row in enumerate(ordered):
        left = 0.0
        for (key, name), shade in zip(PARTS, _SHADES, strict=True):
            value = row.values[key]
            width = value.mean / 3 if value else 0.0
            axis.barh(place, width, 0.62, left, color=row_colour(row, colours), alpha=shade, lw=0)
            if width > 0.045:
                ink = "#ffffff" if shade == 1 else INK
                axis.text(
                    left + width / 2, place, f"{width * 3:.2f}", ha="center", va="center", color=ink, fontsize=7.5
                )
            if place == len(ordered) - 1 and width > 0.045:
                axis.text(left + width / 2, place + 0.46, name, ha="center", color=MUTED, fontsize=7.5)
            left += width
        _total(axis, place, left, row.values["final"])
    axis.set_yticks(range(len(ordered)), [wrapped(row.label) for row in ordered], color=INK)
    axis.set(
        xlim=(0, 1.08), ylim=(-0.6, len(ordered) - 0.2), xlabel="final score: mean of the three parts, higher is better"
    )
    axis.grid(axis="y", visible=False)


def bars(rows: Sequence[Row]) -> list[Row]:
    """Those that have a bar, the best last; of very many methods only the best."""
    ordered = sorted(rows, key=lambda row: value.mean if (value := row.values["final"]) else -1.0)
    methods = [row for row in ordered if row.role == "method"][-MAX_BARS:]
    return [row for row in ordered if row.role != "method" or any(row is method for method in methods)]


def wrapped(label: str, width: int = 26) -> str:
    """A method's label over several lines, broken between its settings."""
    lines = [""]
    for part in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f", {part}" if lines[-1] else part
    return ",\n".join(lines)


def _label_points(axis: Any, named: Sequence[Point], colours: Mapping[str, str]) -> None:
    """Beside each point its name, moved down until it covers no other; widths are estimated, in axis units."""
    taken: list[tuple[float, float, float]] = []
    for point in sorted(named, key=lambda item: -item.y):
        text = wrapped(point.row.label)
        length = 0.021 * max(map(len, text.split("\n")))
        on_left = point.x > 0.55
        start = point.x - 0.03 - length if on_left else point.x + 0.03
        height = 0.055 * (text.count("\n") + 1)
        y = point.y
        while any(start < end and begin < start + length and abs(y - other) < height for begin, end, other in taken):
            y -= 0.01
        taken.append((start, start + length, y))
        x = point.x - 0.03 if on_left else point.x + 0.03
        colour, side = row_colour(point.row, colours), "right" if on_left else "left"
        axis.text(x, y, text, ha=side, va="center", fontsize=8, color=colour)


def _total(axis: Any, place: int, end: float, final: Statistic | None) -> None:
    if final is None:
        axis.text(end + 0.015, place, "incomplete", va="center", fontsize=8, color=MUTED)
        return
    low, high = (min(1.0, max(0.0, bound)) for bound in final.ends)
    if high > low:
        below = place - 0.2  # the middle of the bar has numbers in it
        axis.plot([low, high], [below, below], color=INK, linewidth=1.2, marker="|", markersize=6)
    axis.text(max(end, high) + 0.015, place, f"{final.mean:.3f}", va="center", fontweight="bold", fontsize=8.5)
