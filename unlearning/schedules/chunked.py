"""The chunked schedule: the forget set in chunks, one after another, each with its own retain rows."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from unlearning.errors import InputError
from unlearning.schedules.cutting import Lengths, chunks_of, cut_by_count, cut_by_tokens, groups, joined, singles
from unlearning.schedules.plan import PlanStep, check_sets, cycle, phase_of_epochs, shuffled


@dataclass(frozen=True)
class ChunkedSchedule:
    """Sequential unlearning with gradient difference (SUGD, AILS-NTUA at SemEval-2025 Task 4, arXiv 2503.02443).

    The forget set is split in file order into chunks of ``chunk_rows``, the remainder last. A chunk of n rows takes the
    next ``n * retain_per_forget`` retain rows from a cycle that goes on from chunk to chunk; rows are interleaved one
    forget row then its retain rows, cut into steps of ``batch_rows`` and repeated for ``epochs`` in the same order.
    With ``retain_per_forget=None`` every chunk meets the whole retain set, shuffled and spread evenly.

    ``batch_tokens``, ``accumulate`` and, for each chunk, ``floor_steps`` are as in `MixedSchedule`: with a ratio, a
    token budget never separates a forget row from its retain rows.
    """

    epochs: int
    batch_rows: int
    chunk_rows: int
    batch_tokens: int | None = None
    accumulate: int = 1
    floor_steps: bool = False

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """Return all steps, chunk after chunk. Raises InputError where a set that is needed is empty."""
        check_sets(len(forget_tokens), len(retain_tokens), retain_per_forget)
        if not forget_tokens:
            raise InputError("schedule=chunked: the forget set is empty, there is nothing to cut into chunks")
        rng = random.Random(seed)
        retain = cycle(list(range(len(retain_tokens))))
        steps: list[PlanStep] = []
        for phase, chunk in enumerate(chunks_of(len(forget_tokens), self.chunk_rows)):
            if retain_per_forget is None:
                units = singles(joined(groups(chunk, shuffled(len(retain_tokens), rng))))
            else:
                units = groups(chunk, list(islice(retain, retain_per_forget * len(chunk))))
            if self.batch_tokens is None:
                batches = cut_by_count(singles(joined(units)), self.batch_rows)
            else:
                batches = cut_by_tokens(units, self.batch_tokens, Lengths(forget_tokens, retain_tokens))
            epochs = [batches] * self.epochs
            steps += phase_of_epochs(phase, epochs, self.batch_rows, self.accumulate, floor_steps=self.floor_steps)
        return steps
