"""The mixed schedule: forget and retain rows together, in a new order each epoch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from unlearning.schedules.cutting import Drawn, Lengths, cut_by_count, cut_by_tokens, groups, singles
from unlearning.schedules.plan import PlanStep, check_sets, cycle, phase_of_epochs, shuffled


@dataclass(frozen=True)
class MixedSchedule:
    """Forget and retain rows together in one phase, in a new order each epoch.

    With ``retain_per_forget=None`` an epoch is both sets shuffled as one, so that a step's mixture varies by chance
    (SHA256). With a number r, every step has ``batch_rows / (1 + r)`` forget rows (at least one) and r times as many
    retain rows, taken cyclically from a shuffled retain set; an epoch is one pass over the forget set.

    With ``batch_tokens`` a step is instead as many rows (or, with a ratio, forget rows with their retain rows) as fit.
    With ``accumulate`` n > 1 a step's rows, in the order in which they were drawn, are cut into parts of
    ``batch_rows / n`` rows, each with a loss of its own: the Hugging Face Trainer's gradient accumulation. With
    ``floor_steps`` the run ends after ``epochs`` times the steps of an epoch that have all n parts.
    """

    epochs: int
    batch_rows: int
    batch_tokens: int | None = None
    accumulate: int = 1
    floor_steps: bool = False

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """Return all steps; the last one of an epoch may be smaller, and with `floor_steps` the last epoch shorter.

        Raises InputError where there is nothing to train on, or where a ratio needs a set that is empty.
        """
        lengths, ratio = Lengths(forget_tokens, retain_tokens), retain_per_forget
        check_sets(len(forget_tokens), len(retain_tokens), ratio)
        rng = random.Random(seed)
        epochs: list[list[list[Drawn]]] = []
        retain = cycle(shuffled(len(retain_tokens), rng))
        for _ in range(self.epochs):
            if ratio is None:
                units = singles(_shuffled_together(len(forget_tokens), len(retain_tokens), rng))
                count = self.batch_rows
            else:
                order = shuffled(len(forget_tokens), rng)
                units = groups(order, list(islice(retain, ratio * len(order))))
                count = max(1, self.batch_rows // (1 + ratio))
            if self.batch_tokens is None:
                epochs.append(cut_by_count(units, count))
            else:
                epochs.append(cut_by_tokens(units, self.batch_tokens, lengths))
        return phase_of_epochs(0, epochs, self.batch_rows, self.accumulate, floor_steps=self.floor_steps)


def _shuffled_together(forget_rows: int, retain_rows: int, rng: random.Random) -> list[Drawn]:
    order = shuffled(forget_rows + retain_rows, rng)
    return [Drawn(True, row) if row < forget_rows else Drawn(False, row - forget_rows) for row in order]
