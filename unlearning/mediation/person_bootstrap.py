"""Means over facts with intervals that take all facts of one person as one observation.

The facts of one person are not independent of one another, so persons are drawn, not facts (`unlearning.bootstrap`).
Every mean is the mean over relations of the mean over the relation's facts, so that a frequent relation weighs no more
than a rare one. Bands, which hold for several means at once, are made by the max-t bootstrap (Westfall and Young 1993).

Two corrections make up for the few persons of a trace: the weights of Rao, Wu and Yue (1992), see
`bootstrap.draw_weights`, and Student's t in place of the normal distribution, see `BootstrapMean.curve`. In simulated
traces of 24 persons with one fact each, a 95% band over 16 layers holds about 7 times in 10 without them and 9 times in
10 with them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from unlearning.bootstrap import RESAMPLES, SEED, Values, draw_weights, percentile_interval

CONFIDENCE = 0.95
SMALLEST_STRATUM = 3
SMALLEST_TAIL = 1e-200
"""Down to this probability scipy's quantile of Student's t is a finite number for any degrees of freedom."""
ROUNDING = 1e-12
"""Relative size of rounding errors: a standard error that is smaller than this counts as zero."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% percentile interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EffectCurve:
    """One mean for each of the L layers, with intervals."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    """Lower end of the 95% percentile interval of each single layer."""
    high: tuple[float, ...]
    band_low: tuple[float, ...]
    """Lower end of the 95% band that holds for all layers at once."""
    band_high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BootstrapMean:
    """A mean of shape (...) and its value in each resample.

    Resample n draws the same persons in all means of one `PersonBootstrap`, so that differences between means are
    paired.
    """

    mean: Values
    resampled: Values
    """(RESAMPLES, ...); NaN where the resample has none of the facts."""
    freedom: int
    """Degrees of freedom of the standard errors: persons minus strata, but at least 1."""

    def __getitem__(self, index: int) -> "BootstrapMean":
        """Return one entry of the mean's first axis."""
        return BootstrapMean(self.mean[index], self.resampled[:, index], self.freedom)

    def interval(self) -> Interval:
        """Return the percentile interval of a mean that is a single number."""
        low, high = percentile_interval(self.resampled)
        return Interval(float(self.mean), float(low), float(high))

    def curve(self) -> EffectCurve:
        """Return a mean (L,) with its intervals and its band, mean +- q * se.

        se is the standard deviation over resamples. q is the 95% quantile over resamples of max_l |m*_l - m_l| / se_l,
        moved from the normal distribution to the same quantile of Student's t. A layer whose standard error is zero has
        a band of no width and takes no part in the maximum.
        """
        low, high = percentile_interval(self.resampled)
        width = self._margin(np.abs(self._present() - self.mean), CONFIDENCE)
        return EffectCurve(*map(floats, (self.mean, low, high, self.mean - width, self.mean + width)))

    def margin(self, confidence: float) -> Values:
        """Return how far (L,) the one-sided lower bounds, which hold for all layers at once, lie below the mean (L,).

        This is q * se as in `curve`, but without the absolute value.
        """
        return self._margin(self._present() - self.mean, confidence)

    def _margin(self, deviations: Values, confidence: float) -> Values:
        """Return q * se (L,) from the resamples' deviations (B, L)."""
        spread = self._present().std(0)
        errors: Values = np.where(spread > ROUNDING * np.abs(self._present()).max(), spread, 0.0)
        moving = errors > 0
        if not moving.any():
            return errors
        largest = (deviations[:, moving] / errors[moving]).max(1)
        return student_t(float(np.quantile(largest, confidence)), self.freedom) * errors

    def _present(self) -> Values:
        """Return the resamples that have facts."""
        flat = self.resampled.reshape(len(self.resampled), -1)
        return self.resampled[~np.isnan(flat[:, 0])]


class PersonBootstrap:
    """The same 2,000 resamples of persons for every mean over the same facts.

    Persons are drawn within their stratum (`strata`), and a drawn person brings all of his or her facts. With a single
    person there is nothing to draw, and intervals have no width.
    """

    def __init__(self, persons: Sequence[str], relations: Sequence[str]) -> None:
        """Draw the resamples, given the person and the relation of each of N facts."""
        names, owner = np.unique(persons, return_inverse=True)
        place = {str(name): index for index, name in enumerate(names)}
        times = np.ones((1 + RESAMPLES, len(names)))
        generator = np.random.default_rng(SEED)
        stratum = np.zeros(len(names), dtype=int)
        for number, members in enumerate(strata(persons, relations)):
            own = [place[person] for person in members]
            stratum[own] = number
            times[1:, own] = draw_weights(generator, len(members))
        self._times = times[:, owner]
        self._person, self._stratum = owner, stratum[owner]
        self._relation = np.unique(relations, return_inverse=True)[1]

    def means(self, values: Values) -> BootstrapMean:
        """Return the mean over relations of values (N, ...); a fact whose values are all NaN is left out."""
        flat = values.reshape(len(values), -1)
        present = ~np.isnan(flat[:, 0])
        means = (self._weights(present) @ flat[present]).reshape(-1, *values.shape[1:])
        freedom = len(np.unique(self._person[present])) - len(np.unique(self._stratum[present]))
        return BootstrapMean(means[0], means[1:], max(freedom, 1))

    def _weights(self, present: NDArray[np.bool_]) -> Values:
        """Return the weight of each fact present in the mean (first row) and in each resample; every row sums to 1."""
        times, relation = self._times[:, present], self._relation[present]
        weights = np.zeros_like(times)
        relations = np.zeros((len(times), 1))
        for code in np.unique(relation):
            own = relation == code
            taken = times[:, own].sum(1, keepdims=True)
            weights[:, own] = np.divide(times[:, own], taken, out=weights[:, own], where=taken > 0)
            relations += taken > 0
        return np.divide(weights, relations, out=np.full_like(weights, np.nan), where=relations > 0)


def strata(persons: Sequence[str], relations: Sequence[str]) -> list[list[str]]:
    """Return the persons grouped by the set of relations that their facts cover.

    Groups of fewer than 3 persons are pooled into one. If the pool itself has fewer than 3, it joins the smallest other
    group.
    """
    covered: dict[str, set[str]] = defaultdict(set)
    for person, relation in zip(persons, relations, strict=True):
        covered[person].add(relation)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for person in sorted(covered):
        groups[tuple(sorted(covered[person]))].append(person)
    found = [groups[key] for key in sorted(groups) if len(groups[key]) >= SMALLEST_STRATUM]
    pool = [person for key in sorted(groups) if len(groups[key]) < SMALLEST_STRATUM for person in groups[key]]
    if found and len(pool) < SMALLEST_STRATUM:
        min(found, key=len).extend(pool)
    else:
        found.append(pool)
    return [stratum for stratum in found if stratum]


def floats(values: Values) -> tuple[float, ...]:
    """Return the values (N,) as plain numbers, which JSON can hold."""
    return tuple(float(value) for value in values)


def student_t(deviate: float, freedom: int) -> float:
    """Return the value of Student's t, with these degrees of freedom, that has the same tail as a normal deviate.

    The tail probability is at least `SMALLEST_TAIL`, so that the result is finite: the deviate can be huge where two
    persons nearly agree.
    """
    tail = max(ndtr(-abs(deviate)), SMALLEST_TAIL)
    return math.copysign(float(stdtrit(freedom, tail)), deviate)
