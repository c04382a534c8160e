"""Grids of cases of which the default run takes a part, and `-m exhaustive` the rest as well."""

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
