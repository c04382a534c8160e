"""The alternating schedule: ascent on forget rows and annealing on retain rows, in turns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.errors import InputError
from unlearning.schedules.cutting import Drawn, Lengths, chunks_of, cut_by_count, cut_by_tokens, singles
from unlearning.schedules.plan import PlanStep, phase_of_epochs


@dataclass(frozen=True)
class AlternatingSchedule:
    """Alternating gradient ascent and descent (AGAD, AILS-NTUA's other method, arXiv 2503.02443).

    The forget set is split in file order into chunks of ``chunk_rows``, the remainder last. A chunk is a phase of
    forget rows alone: ``epochs`` passes in a new order each, in steps of ``batch_rows``. After every
    ``1 / interleaving`` whole chunks (rounded up) comes an annealing phase: ``annealing_epochs`` passes over
    ``annealing_fraction`` of the retain set (rounded down, at least one row), drawn anew each time, in steps of
    ``annealing_batch_rows``, at ``annealing_lr_factor`` times the learning rate. ``final_annealing`` ends the run with
    such a phase over the whole retain set; as in the released code, it is the only one that follows a remainder.

    Every phase has its own optimiser and its own learning-rate schedule. ``batch_tokens`` replaces both numbers of
    rows; ``accumulate`` and ``annealing_accumulate`` cut the steps of the two kinds of phases, and ``floor_steps`` ends
    each phase, as in `MixedSchedule`.
    """

    epochs: int
    batch_rows: int
    chunk_rows: int
    interleaving: float
    annealing_fraction: float
    final_annealing: bool
    annealing_epochs: int
    annealing_batch_rows: int
    annealing_lr_factor: float = 1.0
    annealing_accumulate: int = 1
    batch_tokens: int | None = None
    accumulate: int = 1
    floor_steps: bool = False

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """Return all steps, phase after phase.

        Raises InputError where a set is empty, or where a ratio is asked for: no step has both kinds of rows.
        """
        _check(len(forget_tokens), len(retain_tokens), retain_per_forget)
        lengths = Lengths(forget_tokens, retain_tokens)
        rng = random.Random(seed)
        phases: list[list[PlanStep]] = []
        since = 0
        for chunk in chunks_of(len(forget_tokens), self.chunk_rows):
            phases.append(self._ascent(len(phases), chunk, lengths, rng))
            since += len(chunk) == self.chunk_rows
            if len(chunk) == self.chunk_rows and since >= 1 / self.interleaving:
                rows = max(1, int(len(retain_tokens) * self.annealing_fraction))
                sample = rng.sample(range(len(retain_tokens)), rows)
                phases.append(self._annealing(len(phases), sample, lengths, rng))
                since = 0
        if self.final_annealing:
            phases.append(self._annealing(len(phases), range(len(retain_tokens)), lengths, rng))
        return [step for steps in phases for step in steps]

    def _ascent(self, phase: int, rows: Sequence[int], lengths: Lengths, rng: random.Random) -> list[PlanStep]:
        drawn = [Drawn(True, row) for row in rows]
        epochs = [self._epoch(drawn, self.batch_rows, lengths, rng) for _ in range(self.epochs)]
        return phase_of_epochs(phase, epochs, self.batch_rows, self.accumulate, floor_steps=self.floor_steps)

    def _annealing(self, phase: int, rows: Sequence[int], lengths: Lengths, rng: random.Random) -> list[PlanStep]:
        drawn = [Drawn(False, row) for row in rows]
        size = self.annealing_batch_rows
        epochs = [self._epoch(drawn, size, lengths, rng) for _ in range(self.annealing_epochs)]
        accumulate, factor = self.annealing_accumulate, self.annealing_lr_factor
        return phase_of_epochs(phase, epochs, size, accumulate, factor, self.floor_steps)

    def _epoch(self, drawn: Sequence[Drawn], size: int, lengths: Lengths, rng: random.Random) -> list[list[Drawn]]:
        units = singles(rng.sample(drawn, len(drawn)))
        if self.batch_tokens is None:
            return cut_by_count(units, size)
        return cut_by_tokens(units, self.batch_tokens, lengths)


def _check(forget_rows: int, retain_rows: int, ratio: int | None) -> None:
    if ratio is not None:
        raise InputError(
            f"ratio.retain_per_forget={ratio}: schedule=alternating keeps forget and retain rows apart; "
            "use ratio.retain_per_forget=null"
        )
    for name, rows in (("forget", forget_rows), ("retain", retain_rows)):
        if not rows:
            raise InputError(f"schedule=alternating: the {name} set is empty, and it takes turns between both sets")
