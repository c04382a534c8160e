"""Whole numbers that follow one another."""

from collections.abc import Iterable
from itertools import groupby


def consecutive(numbers: Iterable[int]) -> list[list[int]]:
    """Return rising numbers in runs without a gap: 0, 3, 4 become [0] and [3, 4]."""
    # Neighbours stand equally far from their places in the list.
    runs = groupby(enumerate(numbers), key=lambda placed: placed[1] - placed[0])
    return [[number for _, number in run] for _, run in runs]


def layer_ranges(layers: Iterable[int]) -> str:
    """Return layer numbers with neighbours as a range: 0, 3–5."""
    ranges = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in consecutive(layers)]
    return ", ".join(ranges) or "none"
