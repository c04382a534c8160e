"""Grids of cases of which the default run takes a part, and `-m exhaustive` the rest as well."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest


def left_out(exhaustive: bool) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a case that only `-m exhaustive` runs, or of one that always runs."""
    return (pytest.mark.exhaustive,) if exhaustive else ()


def each_once(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return all pairs as pytest's parameters; by default those run in which each value of either occurs once or more.

    The longer list goes through its values once, the shorter one round and round.
    """
    pairs = [(i, j) for i in range(len(first)) for j in range(len(second))]
    return [
        pytest.param(first[i], second[j], marks=left_out((i - j) % min(len(first), len(second)) != 0)) for i, j in pairs
    ]


def thin_out(items: Sequence[pytest.Item]) -> None:
    """Mark as exhaustive the cases of each test marked `grid` but those in which each value of a parameter occurs.

    A grid is a test with several `parametrize` decorators. The longest one goes through its values once, the others
    round and round.
    """
    grids: dict[str, list[tuple[pytest.Item, tuple[int, ...]]]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("grid") is not None:
            # Parameters of one decorator have the same place in every case, so they count once.
            places: dict[str, int] = item.callspec.indices  # type: ignore[attr-defined]
            grids[item.nodeid.partition("[")[0]].append((item, tuple(places.values())))
    for cases in grids.values():
        lengths = [1 + max(places) for places in zip(*(places for _, places in cases), strict=True)]
        longest = lengths.index(max(lengths))
        for item, places in cases:
            if any(place != places[longest] % length for place, length in zip(places, lengths, strict=True)):
                item.add_marker(pytest.mark.exhaustive)
