"""Random rows of 5 to 14 tokens, for training tiny models."""

import random
from collections.abc import Sequence

from unlearning.data.encoding import EncodedRow
from unlearning.training.step_data import TrainingRows


def random_rows(count: int, seed: int) -> list[EncodedRow]:
    """Return rows with one prompt token or more, and at least two supervised ones."""
    rng = random.Random(seed)
    lengths = [rng.randint(5, 14) for _ in range(count)]
    return [EncodedRow(tuple(rng.randrange(3, 96) for _ in range(n)), rng.randint(1, n - 2)) for n in lengths]


FORGET, RETAIN = random_rows(10, 1), random_rows(13, 2)
UNSEEN = random_rows(7, 3)
"""Rows of neither set."""


def training_rows() -> TrainingRows:
    """Return the rows of both sets, without refusals."""
    return TrainingRows(FORGET, (), RETAIN)


def lengths(rows: Sequence[EncodedRow]) -> list[int]:
    """Return the numbers of tokens of some rows."""
    return [len(row.input_ids) for row in rows]
