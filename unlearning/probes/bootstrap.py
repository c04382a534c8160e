"""Mean scores over rows, with intervals from draws of whole documents, since rows of one document depend on each other.

The draws are made as in `unlearning.bootstrap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unlearning.bootstrap import SEED, Values, draw_indices, percentile_interval
from unlearning.probes.probe import RowScore


@dataclass(frozen=True)
class Value:
    """A number and its 95% interval."""

    value: float
    low: float | None
    high: float | None
    """The interval's ends are None where too few resamples have the number at all."""


@dataclass(frozen=True)
class Estimate:
    """A mean score over rows, and the same mean in each resample of documents."""

    mean: float
    resampled: Values
    """(RESAMPLES,). For the same documents, resample n is the same draw for every model."""

    @property
    def value(self) -> Value:
        """The mean with its 95% percentile interval."""
        low, high = percentile_interval(self.resampled)
        return Value(self.mean, float(low), float(high))


def estimate(items: Sequence[RowScore]) -> Estimate:
    """Return the mean score of the rows, and its means when documents are drawn with replacement.

    A document that is drawn twice counts twice, with all its rows. The draws depend on nothing but the number of
    documents, which are sorted by name; so the same documents get the same draws.
    """
    names, owner = np.unique([item.document for item in items], return_inverse=True)
    scores = np.array([item.score for item in items], dtype=np.float64)
    sums = np.bincount(owner, weights=scores, minlength=len(names))
    rows = np.bincount(owner, minlength=len(names)).astype(np.float64)
    drawn = draw_indices(np.random.default_rng(SEED), len(names))
    return Estimate(float(scores.mean()), sums[drawn].sum(1) / rows[drawn].sum(1))
