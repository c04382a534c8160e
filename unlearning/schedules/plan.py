"""A plan: all steps of a run, worked out before training starts, so that it can be printed, tested and resumed."""

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
    """A chunk, or 0 when there is only one phase; optimiser and learning-rate schedule start afresh with each."""
    phase_step: int
    """Steps since the phase began."""
    phase_steps: int
    """Steps of the whole phase."""
    epoch: int
    """Passes over this phase's rows since it began."""
    forget: tuple[int, ...]
    """Positions in the forget set, part after part."""
    retain: tuple[int, ...]
    """Positions in the retain set, part after part."""
    parts: tuple[tuple[int, int], ...] = ()
    """Forget rows and retain rows of each part; the step's loss is the mean of its parts' losses. Empty: one part."""
    lr_factor: float = 1.0
    """Multiplies the learning rate."""


class Schedule(Protocol):
    """What all schedules have in common."""

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """All steps of a run over two sets whose rows are so many tokens long, in file order."""


def check_sets(forget_rows: int, retain_rows: int, ratio: int | None) -> None:
    """Raise InputError where there is nothing to train on, or where a ratio needs a set that is empty."""
    if forget_rows + retain_rows == 0:
        raise InputError("schedule: forget and retain set are both empty")
    if ratio is not None and not forget_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the forget set is empty; use ratio=natural")
    if ratio and not retain_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the retain set is empty; use 0 or give retain rows")


def shuffled(rows: int, rng: random.Random) -> list[int]:
    """0 to rows - 1 in a random order."""
    order = list(range(rows))
    rng.shuffle(order)
    return order


def cycle(order: Sequence[int]) -> Iterator[int]:
    """The same rows over and over; nothing where there are none."""
    while order:
        yield from order


def phase_of_epochs(
    phase: int, epochs: Sequence[Sequence[list[Drawn]]], batch_rows: int, accumulate: int, lr_factor: float = 1.0
) -> list[PlanStep]:
    """The steps of one phase from the rows of each step of each epoch."""
    part_rows = batch_rows // accumulate if accumulate > 1 else None
    total = sum(len(batches) for batches in epochs)
    steps: list[PlanStep] = []
    for epoch, batches in enumerate(epochs):
        for batch in batches:
            forget = tuple(drawn.row for drawn in batch if drawn.is_forget)
            retain = tuple(drawn.row for drawn in batch if not drawn.is_forget)
            parts = _parts(batch, part_rows) if part_rows else ()
            steps.append(PlanStep(phase, len(steps), total, epoch, forget, retain, parts, lr_factor))
    return steps


def _parts(batch: list[Drawn], part_rows: int) -> tuple[tuple[int, int], ...]:
    """Forget rows and retain rows of every `part_rows` rows, the last part possibly smaller."""
    parts = [batch[start : start + part_rows] for start in range(0, len(batch), part_rows)]
    forget = [sum(drawn.is_forget for drawn in part) for part in parts]
    return tuple((count, len(part) - count) for count, part in zip(forget, parts, strict=True))
