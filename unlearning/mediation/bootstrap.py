"""Means over facts with intervals that take the facts of one person as one observation.

Every mean is the mean over relations of the mean over the relation's facts, so that a frequent relation weighs no more
than a rare one. Bands over several means at once are by the max-t bootstrap (Westfall and Young 1993).

Two corrections make up for the few persons of a trace: the weights of Rao, Wu and Yue (1992), see `Bootstrap`, and
Student's t in place of the normal distribution, see `Estimate.curve`. In simulated traces of 24 persons with one fact
each, a 95% band over 16 layers holds about 7 times in 10 without them and 9 times in 10 with them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
PERCENTILES = (2.5, 97.5)
SMALLEST_STRATUM = 3
LARGEST_EXPONENT = 600.0
ROUNDING = 1e-12
"""Relative; a standard error below it is none."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% percentile interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One mean for each layer, L in all."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    """95% percentile interval, each layer for itself."""
    high: tuple[float, ...]
    band_low: tuple[float, ...]
    """95% band that holds all layers at once."""
    band_high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of shape (...) and what it was in each resample.

    Resample n is of the same persons in all estimates of one `Bootstrap`, so that differences are paired.
    """

    mean: Values
    resampled: Values
    """(RESAMPLES, ...); NaN where the resample has none of the facts."""
    freedom: int
    """Degrees of freedom of the standard errors: persons minus strata, 1 at least."""

    def __getitem__(self, index: int) -> "Estimate":
        """One entry of the first axis of the mean."""
        return Estimate(self.mean[index], self.resampled[:, index], self.freedom)

    def interval(self) -> Interval:
        """Of a mean without axes."""
        low, high = np.percentile(self._drawn(), PERCENTILES)
        return Interval(float(self.mean), float(low), float(high))

    def curve(self) -> Curve:
        """Of a mean (L,). Band: mean +- q * se, se being the resamples' standard deviation.

        q is the 95% quantile over resamples of max_l |m*_l - m_l| / se_l, moved from the normal distribution to the
        same quantile of Student's. Layers of no standard error have a band of no width and no part in the maximum.
        """
        low, high = np.percentile(self._drawn(), PERCENTILES, axis=0)
        width = self._margin(np.abs(self._drawn() - self.mean), CONFIDENCE)
        return Curve(*map(floats, (self.mean, low, high, self.mean - width, self.mean + width)))

    def margin(self, confidence: float) -> Values:
        """How far below the mean (L,) its one-sided lower bounds lie that hold for all layers at once: (L,).

        q * se as in `curve`, but without the absolute value.
        """
        return self._margin(self._drawn() - self.mean, confidence)

    def _margin(self, deviations: Values, confidence: float) -> Values:
        """q * se (L,), from deviations (B, L)."""
        spread = self._drawn().std(0)
        errors: Values = np.where(spread > ROUNDING * np.abs(self._drawn()).max(), spread, 0.0)
        moving = errors > 0
        if not moving.any():
            return errors
        largest = (deviations[:, moving] / errors[moving]).max(1)
        return student(float(np.quantile(largest, confidence)), self.freedom) * errors

    def _drawn(self) -> Values:
        """The resamples that have facts."""
        flat = self.resampled.reshape(len(self.resampled), -1)
        return self.resampled[~np.isnan(flat[:, 0])]


class Bootstrap:
    """The same 2,000 draws of persons for every mean over the same facts.

    Of the n persons of a stratum n - 1 are drawn with replacement and count n / (n - 1) times (Rao, Wu and Yue 1992):
    n draws would make the variance too small by (n - 1) / n, which is a fifth in a stratum of 5. A drawn person brings
    all of his facts. With one person there is nothing to draw, and intervals have no width.
    """

    def __init__(self, persons: Sequence[str], relations: Sequence[str]) -> None:
        """Person and relation of each of N facts."""
        names, owner = np.unique(persons, return_inverse=True)
        place = {str(name): index for index, name in enumerate(names)}
        times = np.ones((1 + RESAMPLES, len(names)))
        generator = np.random.default_rng(0)
        stratum = np.zeros(len(names), dtype=int)
        for number, members in enumerate(strata(persons, relations)):
            own, size = [place[person] for person in members], len(members)
            stratum[own] = number
            if size > 1:
                drawn = generator.multinomial(size - 1, np.full(size, 1 / size), size=RESAMPLES)
                times[1:, own] = drawn * size / (size - 1)
        self._times = times[:, owner]
        self._person, self._stratum = owner, stratum[owner]
        self._relation = np.unique(relations, return_inverse=True)[1]

    def means(self, values: Values) -> Estimate:
        """Macro-average of values (N, ...); facts whose values are all NaN are left out."""
        flat = values.reshape(len(values), -1)
        present = ~np.isnan(flat[:, 0])
        means = (self._weights(present) @ flat[present]).reshape(-1, *values.shape[1:])
        freedom = len(np.unique(self._person[present])) - len(np.unique(self._stratum[present]))
        return Estimate(means[0], means[1:], max(freedom, 1))

    def _weights(self, present: NDArray[np.bool_]) -> Values:
        """What each of the facts present weighs in the mean (first row) and in each resample: rows sum to 1."""
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
    """Persons whose facts cover the same relations, by these; strata of fewer than 3 persons are pooled into one.

    A pool that is still smaller joins the smallest other stratum.
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
    """Plain numbers, as JSON gives them back."""
    return tuple(float(value) for value in values)


def student(deviate: float, freedom: int) -> float:
    """Student's t of as many degrees of freedom and of the same tail as a normal deviate (Wallace's formula, 1959).

    From 5 degrees on within 2% for deviates up to 3; too large for fewer, but never beyond a number: two persons that
    all but agree have deviates whose exponential would be.
    """
    normal = abs(deviate) * (8 * freedom + 3) / (8 * freedom + 1)
    return math.copysign(math.sqrt(freedom * math.expm1(min(normal**2 / freedom, LARGEST_EXPONENT))), deviate)
