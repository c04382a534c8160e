"""Means over rows with intervals that draw whole documents: the rows of one document are not independent."""

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
    """None where too few resamples have the number at all."""


@dataclass(frozen=True)
class Estimate:
    """A mean over rows, and what it was in each resample of documents."""

    mean: float
    resampled: Values
    """(RESAMPLES,); of the same documents, resample n is the same draw for every model."""

    @property
    def value(self) -> Value:
        """With its percentile interval."""
        low, high = percentile_interval(self.resampled)
        return Value(self.mean, float(low), float(high))


def estimate(items: Sequence[RowScore]) -> Estimate:
    """Mean score, and its means when as many documents as there are are drawn with replacement.

    A document drawn twice counts twice, with all its rows. The draws depend on the number of documents and nothing
    else; documents are taken in the order of their names, so that the same ones meet the same draws.
    """
    names, owner = np.unique([item.document for item in items], return_inverse=True)
    scores = np.array([item.score for item in items], dtype=np.float64)
    sums = np.bincount(owner, weights=scores, minlength=len(names))
    rows = np.bincount(owner, minlength=len(names)).astype(np.float64)
    drawn = draw_indices(np.random.default_rng(SEED), len(names))
    return Estimate(float(scores.mean()), sums[drawn].sum(1) / rows[drawn].sum(1))
