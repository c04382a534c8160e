"""From a plan's steps to tensors, one step at a time, on each device its share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import Packs, build_packs, first_fit, supervised_tokens
from unlearning.data.schedules import PlanStep
from unlearning.objectives.base import SetSize


@dataclass(frozen=True)
class MicroBatch:
    """R rows in one forward pass."""

    packs: Packs
    is_forget: Tensor
    """(R,) bool."""
    row_tokens: Tensor
    """(R,) float: supervised tokens of a row; 0 for a row that only fills up a device's turn."""


@dataclass(frozen=True)
class StepData:
    """One optimiser step on one device."""

    index: int
    step: PlanStep
    retain_first: tuple[MicroBatch, ...]
    """Retain rows that must be seen before the others; empty unless the objective asks for it."""
    rest: tuple[MicroBatch, ...]
    forget_size: SetSize
    retain_size: SetSize
    tokens: int
    """Tokens of the step's rows on all devices, prompts included."""


@dataclass(frozen=True)
class StepLayout:
    """How rows become forward passes."""

    pack_tokens: int
    packs_per_forward: int
    pad: int
    retain_first: bool
    uses_forget: bool
    uses_retain: bool


class StepDataset(IterableDataset[StepData]):
    """The steps of a plan from `start` on, for device `rank` of `world`.

    Device r takes every world-th row of a step, starting at its r-th. All devices make equally many forward passes.
    """

    def __init__(
        self,
        plan: Sequence[PlanStep],
        forget: Sequence[EncodedRow],
        retain: Sequence[EncodedRow],
        layout: StepLayout,
        start: int,
        rank: int,
        world: int,
    ) -> None:
        self.plan, self.forget, self.retain = plan, forget, retain
        self.layout, self.start, self.rank, self.world = layout, start, rank, world

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
        forget = [self.forget[row] for row in step.forget] if self.layout.uses_forget else []
        retain = [self.retain[row] for row in step.retain] if self.layout.uses_retain else []
        tagged = [(row, True) for row in forget], [(row, False) for row in retain]
        first, rest = (tagged[1], tagged[0]) if self.layout.retain_first else ([], tagged[0] + tagged[1])
        return StepData(
            index=index,
            step=step,
            retain_first=self._micro_batches(first),
            rest=self._micro_batches(rest),
            forget_size=_size(forget),
            retain_size=_size(retain),
            tokens=sum(len(row.input_ids) for row in forget + retain),
        )

    def _micro_batches(self, rows: list[tuple[EncodedRow, bool]]) -> tuple[MicroBatch, ...]:
        if not rows:
            return ()
        shares = [rows[rank :: self.world] for rank in range(self.world)]
        layouts = [self._groups(share) for share in shares]
        passes = max(len(groups) for groups in layouts)
        mine = [self._micro_batch([shares[self.rank][i] for i in group], True) for group in layouts[self.rank]]
        # A device with fewer rows runs weightless passes, because gradients are exchanged at every pass.
        mine += [self._micro_batch(rows[:1], False) for _ in range(passes - len(mine))]
        return tuple(mine)

    def _groups(self, share: list[tuple[EncodedRow, bool]]) -> list[list[int]]:
        """Row indices of each forward pass."""
        packs = first_fit([len(row.input_ids) for row, _ in share], self.layout.pack_tokens)
        size = self.layout.packs_per_forward
        return [
            [index for pack in packs[start : start + size] for index in pack] for start in range(0, len(packs), size)
        ]

    def _micro_batch(self, rows: list[tuple[EncodedRow, bool]], counts: bool) -> MicroBatch:
        encoded = [row for row, _ in rows]
        layout = first_fit([len(row.input_ids) for row in encoded], self.layout.pack_tokens)
        tokens = [float(supervised_tokens(row)) if counts else 0.0 for row in encoded]
        return MicroBatch(
            packs=build_packs(encoded, layout, self.layout.pad),
            is_forget=torch.tensor([is_forget for _, is_forget in rows]),
            row_tokens=torch.tensor(tokens),
        )


def _size(rows: Sequence[EncodedRow]) -> SetSize:
    return SetSize(rows=len(rows), tokens=sum(supervised_tokens(row) for row in rows))
