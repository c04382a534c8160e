"""How rows in the order in which they are drawn are cut into steps, by number or by tokens, and a step into parts."""

from collections.abc import Sequence
from typing import NamedTuple


class Drawn(NamedTuple):
    """One row, in the order in which a schedule draws them."""

    is_forget: bool
    row: int
    """Position in its set."""


class Lengths(NamedTuple):
    """Tokens of every row, prompts included, in file order."""

    forget: Sequence[int]
    retain: Sequence[int]

    def of(self, drawn: Drawn) -> int:
        """Tokens of one row."""
        return (self.forget if drawn.is_forget else self.retain)[drawn.row]


def singles(order: Sequence[Drawn]) -> list[list[Drawn]]:
    """Every row its own unit."""
    return [[drawn] for drawn in order]


def groups(forget: Sequence[int], retain: Sequence[int]) -> list[list[Drawn]]:
    """One unit a forget row: the row, then its share of the retain rows, which are spread evenly in their order."""
    found = []
    for position, row in enumerate(forget):
        first, last = (at * len(retain) // len(forget) for at in (position, position + 1))
        found.append([Drawn(True, row), *(Drawn(False, other) for other in retain[first:last])])
    return found


def joined(units: Sequence[Sequence[Drawn]]) -> list[Drawn]:
    """All rows of some units, in order."""
    return [drawn for unit in units for drawn in unit]


def cut_by_count(units: Sequence[Sequence[Drawn]], count: int) -> list[list[Drawn]]:
    """Steps of `count` units, the last possibly smaller."""
    return [joined(units[start : start + count]) for start in range(0, len(units), count)]


def cut_by_tokens(units: Sequence[Sequence[Drawn]], budget: int, lengths: Lengths) -> list[list[Drawn]]:
    """Steps that take units until the next one would exceed `budget` tokens; a unit above it is a step by itself."""
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
    """0 to rows - 1 in chunks, the remainder last."""
    return [range(start, min(start + chunk_rows, rows)) for start in range(0, rows, chunk_rows)]
