"""What was forgotten against what was kept, and which methods no other one dominates."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from unlearning.report.comparison_row import ComparisonRow

_FORGOTTEN = ("forget_regurgitation", "forget_knowledge")


@dataclass(frozen=True)
class Panel:
    """One way to see what was kept."""

    key: str
    title: str
    axis: str
    metrics: tuple[str, ...]
    """The metrics whose mean is the height of a point."""


PANELS = (
    Panel("retain", "Retain rows", "mean of retain R-L and EM", ("retain_regurgitation", "retain_knowledge")),
    Panel("utility", "General knowledge", "utility", ("utility",)),
)


@dataclass(frozen=True)
class Point:
    """One model: how much it forgot, 1 - mean of forget ROUGE-L and exact match, and how much it kept."""

    row: ComparisonRow
    x: float
    y: float
    ends: tuple[float, float] | None = None
    """The ends around y, where y is one number with an interval or a range."""


def points(rows: Sequence[ComparisonRow], panel: Panel) -> list[Point]:
    """Return a point for each row that has the numbers for it."""
    found = []
    for row in rows:
        forgotten, kept = (
            [value for key in keys if (value := row.values[key])] for keys in (_FORGOTTEN, panel.metrics)
        )
        if forgotten and kept:
            x, y = 1 - fmean(value.mean for value in forgotten), fmean(value.mean for value in kept)
            found.append(Point(row, x, y, kept[0].ends if len(panel.metrics) == 1 else None))
    return found


def measured_panels(rows: Sequence[ComparisonRow]) -> list[Panel]:
    """Return the panels that have a point; of none the first one, which is then empty."""
    return [panel for panel in PANELS if points(rows, panel)] or [PANELS[0]]


def front(places: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the pairs that no other pair dominates, by the first number; more is better in both.

    One dominates another if it is nowhere worse and somewhere better. Pairs that are equal do not dominate each other.
    """
    kept = [
        index
        for index, (x, y) in enumerate(places)
        if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in places)
    ]
    return sorted(kept, key=lambda index: (places[index][0], -places[index][1]))


def method_front(rows: Sequence[ComparisonRow], panel: Panel) -> list[Point]:
    """Return the methods that no other method dominates; none where fewer than two can be compared."""
    methods = points([row for row in rows if row.role == "method"], panel)
    return [methods[index] for index in front([(point.x, point.y) for point in methods])] if len(methods) > 1 else []


def front_labels(rows: Sequence[ComparisonRow]) -> dict[Panel, list[str]]:
    """Return for each panel the labels on its front."""
    return {panel: [point.row.label for point in method_front(rows, panel)] for panel in PANELS}
