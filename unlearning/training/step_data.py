"""The data of one optimiser step on one device: which rows, in which packs, with which sizes of the sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import Packs, first_fit, lay_out, whole_row_passes
from unlearning.objectives.base import SetSize
from unlearning.schedules.plan import PlanStep


class Role(IntEnum):
    """What a row is in a step."""

    FORGET = 0
    RETAIN = 1
    REFUSAL = 2
    """A forget row with a refusal, or another row's answer, beside the same row with its own answer."""


@dataclass(frozen=True)
class TrainingRows:
    """All rows of a run, numbered from 0: forget rows first, then the same rows with refusals, then retain rows.

    In place of refusals there may be other rows' answers, where the objective prefers those.
    """

    forget: Sequence[EncodedRow]
    refusals: Sequence[EncodedRow]
    """One for each forget row, or none at all."""
    retain: Sequence[EncodedRow]

    def __getitem__(self, number: int) -> EncodedRow:
        """Return the row of a number."""
        before = len(self.forget) + len(self.refusals)
        if number >= before:
            return self.retain[number - before]
        return self.refusals[number - len(self.forget)] if number >= len(self.forget) else self.forget[number]

    def number(self, role: Role, row: int) -> int:
        """Return the number of a row, given its position in its set."""
        first = {Role.FORGET: 0, Role.REFUSAL: len(self.forget), Role.RETAIN: len(self.forget) + len(self.refusals)}
        return first[role] + row


@dataclass(frozen=True)
class MicroBatch:
    """R rows in one forward pass."""

    packs: Packs
    roles: Tensor
    """(R,) int64, of `Role`; the k-th REFUSAL row belongs to the k-th FORGET row."""
    row_tokens: Tensor
    """(R,) float: number of supervised tokens of a row; 0 for a row that only gives an idle device something to do."""
    numbers: tuple[int, ...]
    """R numbers in the run's `TrainingRows`."""
    layout: tuple[tuple[int, ...], ...]
    """The rows of each pack, in order."""


@dataclass(frozen=True)
class StepPart:
    """A part of an optimiser step, with its own denominators and weights, on one device."""

    retain_first: tuple[MicroBatch, ...]
    """Retain rows that must go before all others; empty unless the objective asks for it."""
    rest: tuple[MicroBatch, ...]
    forget_size: SetSize
    retain_size: SetSize


class StepData:
    """One optimiser step on one device; its loss is the mean or the sum of its parts' losses.

    This is no dataclass, because Lightning would convert the numbers inside one to the precision of the weights.
    """

    def __init__(self, index: int, step: PlanStep, parts: tuple[StepPart, ...], tokens: int) -> None:
        """`tokens` counts those of the step's rows on all devices, prompts included."""
        self.index, self.step, self.parts, self.tokens = index, step, parts, tokens


@dataclass(frozen=True)
class StepLayout:
    """How the rows of a step are put into forward passes."""

    pack_tokens: int
    packs_per_forward: int
    pad: int
    """Id of the padding token."""
    retain_first: bool
    uses_forget: bool
    uses_retain: bool
    prefix_rows: frozenset[int] = frozenset()
    """Numbers of rows whose frozen first layers have been run once for all; they go in forward passes of their own."""
    shares_packs: bool = True
    """Whether rows share packs; False: each row has a pack of its own (see `models.capabilities`)."""

    def passes(self, units: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the indices of the units in each forward pass; a unit is given by the lengths of its rows."""
        if not self.shares_packs:
            return whole_row_passes(units, self.pack_tokens * self.packs_per_forward)
        packs = first_fit([sum(lengths) for lengths in units], self.pack_tokens)
        firsts = range(0, len(packs), self.packs_per_forward)
        groups = [packs[first : first + self.packs_per_forward] for first in firsts]
        return [[index for pack in group for index in pack] for group in groups]

    def packs_of(self, lengths: Sequence[int]) -> list[list[int]]:
        """Return the packs of the rows of one forward pass, as indices into their lengths."""
        return lay_out(lengths, self.pack_tokens) if self.shares_packs else [[row] for row in range(len(lengths))]
