"""The bootstrap: how far a mean could be off, had other units of the same kind been drawn.

What was measured is drawn anew with replacement, many times. The metric of each such resample shows how much the metric
varies. The unit that is drawn is a document or a person, never a single row: the rows of one unit are right or wrong
together. Units of different strata, such as tasks, are drawn apart, by one call for each stratum.

Two ways to draw are here. `draw_indices` takes as many units as there are, which is the usual way (Efron and Tibshirani
1993, An Introduction to the Bootstrap, chapters 8 and 13). `draw_weights` is for strata of few units, for which the
usual way makes the variance too small. A fixed seed makes the draws the same at every call, so that the resamples of
two models are paired.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SEED = 0
RESAMPLES = 2000
PERCENTILES = (2.5, 97.5)
"""Ends of a 95% interval."""

Values = NDArray[np.float64]
Indices = NDArray[np.int64]


def draw_indices(generator: Generator, size: int, resamples: int = RESAMPLES) -> Indices:
    """Return indices (resamples, size) from 0 to size - 1, drawn with replacement: each row is one resample."""
    return generator.integers(0, size, (resamples, size))


def count_draws(drawn: Indices, size: int) -> Indices:
    """Return how often (resamples, size) each index below `size` occurs in each row of the draws (resamples, N)."""
    resamples = len(drawn)
    places = drawn + size * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * size).reshape(resamples, size)


def draw_weights(generator: Generator, size: int, resamples: int = RESAMPLES) -> Values:
    """Return the weight (resamples, size) of each unit of a stratum in each resample; the weights of a row sum to size.

    Of the n units n - 1 are drawn with replacement, and each draw counts n / (n - 1) times (Rao, Wu and Yue 1992). With
    n draws the variance would be too small by the factor (n - 1) / n, which is a fifth in a stratum of 5. A single unit
    weighs 1 in every resample, since there is nothing to draw, and the generator is left as it is.
    """
    if size == 1:
        return np.ones((resamples, 1))
    drawn = generator.multinomial(size - 1, np.full(size, 1 / size), size=resamples)
    weights: Values = drawn * size / (size - 1)
    return weights


def percentile_interval(resampled: Values) -> tuple[Values, Values]:
    """Return the lower and the upper end of the 95% interval, each (...), of resamples (B, ...); NaNs are left out."""
    low, high = np.nanpercentile(resampled, PERCENTILES, axis=0)
    return low, high
