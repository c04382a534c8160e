"""Many restorations in one forward pass, each a row that joins at the block where it begins to differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.mediation.hooks import Edit
from unlearning.mediation.states import Site, State

PartKey = tuple[ModuleKind, int]
"""A kind of part and its block."""


@dataclass(frozen=True, slots=True)
class Batch:
    """D corrupted rows, one a draw, and after them D rows for each state, in order of their first module."""

    states: tuple[State, ...]
    draws: range

    def joining(self) -> dict[int, Tensor]:
        """For `hooks.grown`: the corrupted rows that are copied before each block where states begin."""
        corrupted = torch.arange(len(self.draws))
        starts = groupby(self.states, key=_start)
        return {start: corrupted.repeat(len(list(states))) for start, states in starts}

    def edits(self, sites: Sequence[Site], clean: Mapping[PartKey, Tensor]) -> dict[PartKey, Edit]:
        """For `hooks.edited`: what each part that is restored in some row does to its output."""
        places: dict[PartKey, list[tuple[int, int]]] = {}
        for number, state in enumerate(self.states, start=1):
            rows = range(number * len(self.draws), (number + 1) * len(self.draws))
            cells = [(row, position) for row in rows for position in sites[state.site].positions]
            for module in state.modules:
                places.setdefault((state.kind, module), []).extend(cells)
        return {key: restoring(clean[key], torch.tensor(cells)) for key, cells in places.items()}


def batches(states: Sequence[State], draws: int, max_rows: int) -> Iterator[Batch]:
    """Batches that cover every state under every draw, of at most `max_rows` rows.

    Two rows are the least: a state's row begins as a copy of the corrupted row. Draws are split only where
    those of a single state do not fit.
    """
    step = min(draws, max(1, max_rows // 2))
    width = max(1, max_rows // step - 1)
    ordered = sorted(states, key=_start)
    for first in range(0, draws, step):
        for begin in range(0, len(ordered), width):
            yield Batch(tuple(ordered[begin : begin + width]), range(first, min(first + step, draws)))


def restoring(clean: Tensor, cells: Tensor) -> Edit:
    """An edit that puts clean outputs (T, width) in the given cells (N, 2) of row and position."""

    def edit(hidden: Tensor) -> Tensor:
        rows, positions = cells.to(hidden.device).unbind(1)
        checked(hidden, clean)
        patched = hidden.clone()
        patched[rows, positions] = clean[positions].to(hidden.device)
        return patched

    return edit


def corrupting(noise: Tensor, positions: range) -> Edit:
    """An edit that adds noise (D, n, width) to n neighbouring positions of an output (D, T, width)."""

    def edit(hidden: Tensor) -> Tensor:
        patched = hidden.clone()
        patched[:, positions[0] : positions[-1] + 1] += noise.to(hidden)
        return patched

    return edit


def recording(store: dict[PartKey, Tensor], key: PartKey) -> Edit:
    """An edit that changes nothing and keeps the first row's output (T, width)."""

    def edit(hidden: Tensor) -> Tensor:
        store[key] = hidden[0].clone()
        return hidden

    return edit


def checked(hidden: Tensor, clean: Tensor) -> None:
    """Raise InputError unless the output is (rows, T, width) for clean outputs (T, width)."""
    if hidden.shape[1:] != clean.shape:
        found, wanted = tuple(hidden.shape), f"(rows, {clean.shape[0]}, {clean.shape[-1]})"
        raise InputError(f"tracing: a part's output is of shape {found}, not {wanted}")


def _start(state: State) -> int:
    return state.modules[0]
