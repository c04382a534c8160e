"""Plans: all steps of a run, computed before training starts, so that they can be printed, tested and resumed.

A schedule turns the lengths of the rows of both sets into a plan. It is a pure function: the same rows, settings and
seed always give the same plan. This file holds what a plan is, what a schedule is, and what several schedules use.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from unlearning.errors import InputError
from unlearning.schedules.cutting import Drawn


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One optimiser step."""

    phase: int
    """Number of the phase (a chunk, say). Optimiser and learning-rate schedule start afresh with each phase."""
    phase_step: int
    """Number of steps since the phase began."""
    phase_steps: int
    """Number of steps of the whole phase."""
    epoch: int
    """Number of whole passes over the phase's rows since it began."""
    forget: tuple[int, ...]
    """Rows of the step, as positions in the forget set, part after part."""
    retain: tuple[int, ...]
    """Rows of the step, as positions in the retain set, part after part."""
    parts: tuple[tuple[int, int], ...] = ()
    """Numbers of forget rows and of retain rows in each part, which has a loss of its own; see `Accumulation`.

    Empty where the step is one part.
    """
    lr_factor: float = 1.0
    """A factor of the learning rate."""
    ends_epoch: bool = False
    """Whether it is the last step of its epoch."""


class Schedule(Protocol):
    """In which order, and in which proportion, the rows of both sets are used."""

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """Return all steps of a run over two sets, given the numbers of tokens of their rows in file order."""


def check_sets(forget_rows: int, retain_rows: int, ratio: int | None) -> None:
    """Raise InputError where there is nothing to train on, or where a ratio needs a set that is empty."""
    if forget_rows + retain_rows == 0:
        raise InputError("schedule: forget and retain set are both empty")
    if ratio is not None and not forget_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the forget set is empty; use ratio.retain_per_forget=null")
    if ratio and not retain_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the retain set is empty; use ratio.retain_per_forget=0")


def shuffled(rows: int, rng: random.Random) -> list[int]:
    """Return the numbers 0 to rows - 1 in a random order."""
    order = list(range(rows))
    rng.shuffle(order)
    return order


def cycle(order: Sequence[int]) -> Iterator[int]:
    """Yield the same rows over and over; nothing where there are none."""
    while order:
        yield from order


def phase_of_epochs(
    phase: int,
    epochs: Sequence[Sequence[list[Drawn]]],
    batch_rows: int,
    accumulate: int,
    lr_factor: float = 1.0,
    floor_steps: bool = False,
) -> list[PlanStep]:
    """Return the steps of one phase, given the rows of each step of each epoch.

    With `floor_steps` the phase ends after as many steps as it has whole ones; see `ScheduleConfig`.
    """
    part_rows = batch_rows // accumulate if accumulate > 1 else None
    total = sum(_whole_steps(batches, part_rows, accumulate) if floor_steps else len(batches) for batches in epochs)
    steps: list[PlanStep] = []
    for epoch, batches in enumerate(epochs):
        for number, batch in enumerate(batches):
            forget = tuple(drawn.row for drawn in batch if drawn.is_forget)
            retain = tuple(drawn.row for drawn in batch if not drawn.is_forget)
            parts = _parts(batch, part_rows) if part_rows else ()
            last = number == len(batches) - 1
            steps.append(PlanStep(phase, len(steps), total, epoch, forget, retain, parts, lr_factor, last))
    return steps[:total]


def _whole_steps(batches: Sequence[list[Drawn]], part_rows: int | None, accumulate: int) -> int:
    """Return how many steps of an epoch have all their parts, the last of which may be smaller; at least 1."""
    if part_rows is None:
        return len(batches)
    return max(1, sum(len(_parts(batch, part_rows)) == accumulate for batch in batches))


def _parts(batch: list[Drawn], part_rows: int) -> tuple[tuple[int, int], ...]:
    """Return the numbers of forget and retain rows of every `part_rows` rows; the last part may be smaller."""
    parts = [batch[start : start + part_rows] for start in range(0, len(batch), part_rows)]
    forget = [sum(drawn.is_forget for drawn in part) for part in parts]
    return tuple((count, len(part) - count) for count, part in zip(forget, parts, strict=True))
