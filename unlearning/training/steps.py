"""From a plan's steps to tensors, one step at a time, on each device its share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import Packs, build_packs, first_fit, lay_out, supervised_tokens
from unlearning.objectives.base import SetSize
from unlearning.schedules.plan import PlanStep


class Role(IntEnum):
    """What a row is there for."""

    FORGET = 0
    RETAIN = 1
    OTHER = 2
    """A forget row with another answer, beside the same row with its own."""


@dataclass(frozen=True)
class RowBook:
    """All rows of a run under one number each: forget rows first, then those with other answers, then retain rows."""

    forget: Sequence[EncodedRow]
    others: Sequence[EncodedRow]
    """One a forget row, or none at all."""
    retain: Sequence[EncodedRow]

    def __getitem__(self, number: int) -> EncodedRow:
        """The row of a number."""
        before = len(self.forget) + len(self.others)
        if number >= before:
            return self.retain[number - before]
        return self.others[number - len(self.forget)] if number >= len(self.forget) else self.forget[number]

    def number(self, role: Role, row: int) -> int:
        """The number of a set's row."""
        first = {Role.FORGET: 0, Role.OTHER: len(self.forget), Role.RETAIN: len(self.forget) + len(self.others)}
        return first[role] + row


@dataclass(frozen=True)
class MicroBatch:
    """R rows in one forward pass."""

    packs: Packs
    roles: Tensor
    """(R,) int64, of `Role`; the k-th OTHER row belongs to the k-th FORGET row."""
    row_tokens: Tensor
    """(R,) float: supervised tokens of a row; 0 for a row that only fills up a device's turn."""
    numbers: tuple[int, ...]
    """R numbers in the run's `RowBook`."""
    layout: tuple[tuple[int, ...], ...]
    """Rows of each pack, in order."""


@dataclass(frozen=True)
class StepPart:
    """A part of an optimiser step with denominators and weights of its own, on one device."""

    retain_first: tuple[MicroBatch, ...]
    """Retain rows that must be seen before the others; empty unless the objective asks for it."""
    rest: tuple[MicroBatch, ...]
    forget_size: SetSize
    retain_size: SetSize


class StepData:
    """One optimiser step on one device; its loss is the mean of its parts' losses.

    Not a dataclass: Lightning converts the numbers inside those to the precision of the weights.
    """

    def __init__(self, index: int, step: PlanStep, parts: tuple[StepPart, ...], tokens: int) -> None:
        """`tokens` are those of the step's rows on all devices, prompts included."""
        self.index, self.step, self.parts, self.tokens = index, step, parts, tokens


@dataclass(frozen=True)
class StepLayout:
    """How rows become forward passes."""

    pack_tokens: int
    packs_per_forward: int
    pad: int
    retain_first: bool
    uses_forget: bool
    uses_retain: bool
    apart: frozenset[int] = frozenset()
    """Numbers of rows that share no forward pass with the others, because their first layers' output is known."""


Item = tuple[int, Role]
Unit = tuple[Item, ...]
"""Rows that must share a forward pass."""


class StepDataset(IterableDataset[StepData]):
    """The steps of a plan from `start` on, for device `rank` of `world`.

    Device r takes every world-th row of a step, starting at its r-th. All devices make equally many forward passes.
    """

    def __init__(
        self, plan: Sequence[PlanStep], book: RowBook, layout: StepLayout, start: int, rank: int, world: int
    ) -> None:
        self.plan, self.book, self.layout = plan, book, layout
        self.start, self.rank, self.world = start, rank, world

    def __len__(self) -> int:
        """Steps that remain."""
        return len(self.plan) - self.start

    def __iter__(self) -> Iterator[StepData]:
        """Steps in the plan's order."""
        for index in range(self.start, len(self.plan)):
            yield self.build(index)

    def build(self, index: int) -> StepData:
        """The tensors of one step."""
        step = self.plan[index]
        parts, tokens = [], 0
        forget_from, retain_from = 0, 0
        for forget_rows, retain_rows in step.parts or ((len(step.forget), len(step.retain)),):
            forget = step.forget[forget_from : forget_from + forget_rows]
            retain = step.retain[retain_from : retain_from + retain_rows]
            forget_from, retain_from = forget_from + forget_rows, retain_from + retain_rows
            units = self._units(forget, retain)
            tokens += sum(len(self.book[number].input_ids) for part in units for unit in part for number, _ in unit)
            parts.append(self._part(*units))
        return StepData(index=index, step=step, parts=tuple(parts), tokens=tokens)

    def _units(self, forget: Sequence[int], retain: Sequence[int]) -> tuple[list[Unit], list[Unit]]:
        book = self.book
        units: list[Unit] = []
        for row in forget if self.layout.uses_forget else ():
            own: Item = (book.number(Role.FORGET, row), Role.FORGET)
            units.append((own, (book.number(Role.OTHER, row), Role.OTHER)) if book.others else (own,))
        kept = retain if self.layout.uses_retain else ()
        return units, [((book.number(Role.RETAIN, row), Role.RETAIN),) for row in kept]

    def _part(self, forget: list[Unit], retain: list[Unit]) -> StepPart:
        first, rest = (retain, forget) if self.layout.retain_first else ([], forget + retain)
        return StepPart(
            retain_first=self._micro_batches(first),
            rest=self._micro_batches(rest),
            forget_size=self._size(forget),
            retain_size=self._size(retain),
        )

    def _micro_batches(self, units: list[Unit]) -> tuple[MicroBatch, ...]:
        if not units:
            return ()
        shares = [units[rank :: self.world] for rank in range(self.world)]
        layouts = [self._groups(share) for share in shares]
        passes = max(len(groups) for groups in layouts)
        mine = [self._micro_batch(group, True) for group in layouts[self.rank]]
        # A device with fewer rows runs weightless passes, because gradients are exchanged at every pass.
        mine += [self._micro_batch(units[:1], False) for _ in range(passes - len(mine))]
        return tuple(mine)

    def _groups(self, share: list[Unit]) -> list[list[Unit]]:
        """Units of each forward pass."""
        groups: list[list[Unit]] = []
        for apart in (True, False):
            units = [unit for unit in share if all(number in self.layout.apart for number, _ in unit) is apart]
            packs = first_fit([self._tokens(unit) for unit in units], self.layout.pack_tokens)
            for start in range(0, len(packs), self.layout.packs_per_forward):
                chosen = packs[start : start + self.layout.packs_per_forward]
                groups.append([units[index] for pack in chosen for index in pack])
        return groups

    def _micro_batch(self, units: list[Unit], counts: bool) -> MicroBatch:
        items = [item for unit in units for item in unit]
        encoded = [self.book[number] for number, _ in items]
        layout = lay_out([len(row.input_ids) for row in encoded], self.layout.pack_tokens)
        tokens = [float(supervised_tokens(row)) if counts else 0.0 for row in encoded]
        return MicroBatch(
            packs=build_packs(encoded, layout, self.layout.pad),
            roles=torch.tensor([int(role) for _, role in items]),
            row_tokens=torch.tensor(tokens),
            numbers=tuple(number for number, _ in items),
            layout=tuple(map(tuple, layout)),
        )

    def _tokens(self, unit: Unit) -> int:
        return sum(len(self.book[number].input_ids) for number, _ in unit)

    def _size(self, units: Sequence[Unit]) -> SetSize:
        return SetSize(rows=len(units), tokens=sum(supervised_tokens(self.book[unit[0][0]]) for unit in units))
