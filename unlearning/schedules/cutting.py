"""Cuts the rows, in the order in which a schedule draws them, into steps: by number or by tokens.

The rows come in units: rows that must be in the same step. A unit is one row, or a forget row with its retain rows.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Drawn(NamedTuple):
    """One row that a schedule has drawn."""

    is_forget: bool
    row: int
    """The row's position in its set."""


class Lengths(NamedTuple):
    """The numbers of tokens of all rows, prompts included, in file order."""

    forget: Sequence[int]
    retain: Sequence[int]

    def of(self, drawn: Drawn) -> int:
        """Return the number of tokens of one row."""
        return (self.forget if drawn.is_forget else self.retain)[drawn.row]


def singles(order: Sequence[Drawn]) -> list[list[Drawn]]:
    """Return one unit for each row."""
    return [[drawn] for drawn in order]


def groups(forget: Sequence[int], retain: Sequence[int]) -> list[list[Drawn]]:
    """Return one unit for each forget row: the row, then its share of the retain rows, spread evenly in their order."""
    found = []
    for position, row in enumerate(forget):
        first, last = (at * len(retain) // len(forget) for at in (position, position + 1))
        found.append([Drawn(True, row), *(Drawn(False, retain_row) for retain_row in retain[first:last])])
    return found


def joined(units: Sequence[Sequence[Drawn]]) -> list[Drawn]:
    """Return all rows of some units, in order."""
    return [drawn for unit in units for drawn in unit]


def cut_by_count(units: Sequence[Sequence[Drawn]], count: int) -> list[list[Drawn]]:
    """Return steps of `count` units; the last one may be smaller."""
    return [joined(units[start : start + count]) for start in range(0, len(units), count)]


def cut_by_tokens(units: Sequence[Sequence[Drawn]], budget: int, lengths: Lengths) -> list[list[Drawn]]:
    """Return steps of as many units as fit into `budget` tokens; a unit that exceeds it is a step by itself."""
    steps: list[list[Drawn]] = []
    left = 0
    for unit in units:
        tokens = sum(lengths.of(drawn) for drawn in unit)
        if not steps or tokens > left:
            steps.append([])
            left = budget
        steps[-1] += unit
        left -= tokens
    return steps


def chunks_of(rows: int, chunk_rows: int) -> list[range]:
    """Return the numbers 0 to rows - 1 in chunks; the remainder is the last one."""
    return [range(start, min(start + chunk_rows, rows)) for start in range(0, rows, chunk_rows)]
