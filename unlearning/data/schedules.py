"""Schedules: in which order forget and retain rows meet. Pure functions of row counts and a seed.

A schedule returns the whole plan before training starts, so that it can be printed, tested and resumed at any step.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from unlearning.errors import InputError


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
    """Positions in the forget set."""
    retain: tuple[int, ...]
    """Positions in the retain set."""


class Schedule(Protocol):
    """What `MixedSchedule` and `ChunkedSchedule` have in common."""

    def plan(self, forget_rows: int, retain_rows: int, retain_per_forget: int | None, seed: int) -> list[PlanStep]:
        """All steps of a run over sets of these sizes."""


@dataclass(frozen=True)
class MixedSchedule:
    """Forget and retain rows together in one phase, in a new order each epoch.

    With ``retain_per_forget=None`` an epoch is both sets shuffled as one, so that a step's mixture varies by chance
    (SHA256). With a number r, every step has ``batch_rows / (1 + r)`` forget rows (at least one) and r times as many
    retain rows, dealt cyclically from a shuffled retain set; an epoch is one pass over the forget set.
    """

    epochs: int
    batch_rows: int

    def plan(self, forget_rows: int, retain_rows: int, retain_per_forget: int | None, seed: int) -> list[PlanStep]:
        """All steps, the last of an epoch possibly smaller.

        Raises InputError where there is nothing to train on, or where a ratio needs a set that is empty.
        """
        _check_sets(forget_rows, retain_rows, retain_per_forget)
        rng = random.Random(seed)
        epochs: list[list[_Batch]] = []
        retain = _cycle(_shuffled(retain_rows, rng))
        for _ in range(self.epochs):
            if retain_per_forget is None:
                epochs.append(_shuffled_together(forget_rows, retain_rows, self.batch_rows, rng))
            else:
                epochs.append(self._dealt(forget_rows, retain, retain_per_forget, rng))
        return _phase(0, epochs)

    def _dealt(self, forget_rows: int, retain: Iterator[int], ratio: int, rng: random.Random) -> "list[_Batch]":
        forget_per_step = max(1, self.batch_rows // (1 + ratio))
        order = _shuffled(forget_rows, rng)
        chunks = [order[start : start + forget_per_step] for start in range(0, forget_rows, forget_per_step)]
        return [_Batch(chunk, list(islice(retain, ratio * len(chunk)))) for chunk in chunks]


@dataclass(frozen=True)
class ChunkedSchedule:
    """Sequential unlearning with gradient difference (SUGD, AILS-NTUA at SemEval-2025 Task 4).

    The forget set is split in file order into chunks of ``chunk_rows``, the remainder last. A chunk of n rows takes the
    next ``n * retain_per_forget`` retain rows from a cycle that goes on from chunk to chunk; rows are interleaved one
    forget row then its retain rows, cut into steps of ``batch_rows`` and repeated for ``epochs`` in the same order.
    With ``retain_per_forget=None`` every chunk meets the whole retain set, shuffled and spread evenly.
    """

    epochs: int
    batch_rows: int
    chunk_rows: int

    def plan(self, forget_rows: int, retain_rows: int, retain_per_forget: int | None, seed: int) -> list[PlanStep]:
        """All steps, chunk after chunk. Raises InputError where the forget set, or a needed retain set, is empty."""
        _check_sets(forget_rows, retain_rows, retain_per_forget)
        if not forget_rows:
            raise InputError("schedule=chunked: the forget set is empty, there is nothing to cut into chunks")
        rng = random.Random(seed)
        retain = _cycle(list(range(retain_rows)))
        steps: list[PlanStep] = []
        for phase, start in enumerate(range(0, forget_rows, self.chunk_rows)):
            chunk = list(range(start, min(start + self.chunk_rows, forget_rows)))
            if retain_per_forget is None:
                companions = _shuffled(retain_rows, rng)
            else:
                companions = list(islice(retain, retain_per_forget * len(chunk)))
            batches = _interleaved(chunk, companions, self.batch_rows)
            steps += _phase(phase, [batches] * self.epochs)
        return steps


@dataclass(frozen=True)
class _Batch:
    forget: list[int] = field(default_factory=list)
    retain: list[int] = field(default_factory=list)


def _check_sets(forget_rows: int, retain_rows: int, ratio: int | None) -> None:
    if forget_rows + retain_rows == 0:
        raise InputError("schedule: forget and retain set are both empty")
    if ratio is not None and not forget_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the forget set is empty; use ratio=natural")
    if ratio and not retain_rows:
        raise InputError(f"ratio.retain_per_forget={ratio}: the retain set is empty; use 0 or give retain rows")


def _shuffled(rows: int, rng: random.Random) -> list[int]:
    order = list(range(rows))
    rng.shuffle(order)
    return order


def _cycle(order: Sequence[int]) -> Iterator[int]:
    while order:
        yield from order


def _shuffled_together(forget_rows: int, retain_rows: int, batch_rows: int, rng: random.Random) -> list[_Batch]:
    order = _shuffled(forget_rows + retain_rows, rng)
    batches = []
    for start in range(0, len(order), batch_rows):
        rows = order[start : start + batch_rows]
        forget = [row for row in rows if row < forget_rows]
        retain = [row - forget_rows for row in rows if row >= forget_rows]
        batches.append(_Batch(forget, retain))
    return batches


def _interleaved(forget: list[int], retain: list[int], batch_rows: int) -> list[_Batch]:
    """One forget row, then its share of the retain rows, and so on; cut every `batch_rows` rows."""
    sequence: list[tuple[bool, int]] = []
    for position, row in enumerate(forget):
        first = position * len(retain) // len(forget)
        last = (position + 1) * len(retain) // len(forget)
        sequence.append((True, row))
        sequence += [(False, other) for other in retain[first:last]]
    batches = []
    for start in range(0, len(sequence), batch_rows):
        part = sequence[start : start + batch_rows]
        batches.append(_Batch([row for is_forget, row in part if is_forget], [row for is_f, row in part if not is_f]))
    return batches


def _phase(phase: int, epochs: list[list[_Batch]]) -> list[PlanStep]:
    total = sum(len(batches) for batches in epochs)
    steps: list[PlanStep] = []
    for epoch, batches in enumerate(epochs):
        for batch in batches:
            steps.append(PlanStep(phase, len(steps), total, epoch, tuple(batch.forget), tuple(batch.retain)))
    return steps
