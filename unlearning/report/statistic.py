"""One number over several runs: its mean over seeds, how far the runs spread, an interval, and how it is written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

CONFIDENCE = 0.95
MIN_SEEDS = 5
"""Seeds from which on a mean has an interval. Of fewer Student's interval is wider than what it is about."""
SECONDS = "seconds"


@dataclass(frozen=True)
class Statistic:
    """One number over the runs of a group."""

    mean: float
    """The mean over seeds."""
    low: float
    """The least value of all runs."""
    high: float
    """The greatest value of all runs."""
    n: int
    """The number of seeds."""
    interval: tuple[float, float] | None = None
    """95% interval. Of `MIN_SEEDS` seeds or more it is that of their mean, cut at what is possible; of a single run it
    is that of its own measurement, over documents and questions. None where neither is known."""

    @property
    def ends(self) -> tuple[float, float]:
        """Return what is drawn around the mean: the interval, or without one the least and the greatest value."""
        return self.interval or (self.low, self.high)


def statistic(
    values: Sequence[float | None],
    interval: Sequence[float] | None = None,
    seeds: Sequence[int | None] | None = None,
    possible: tuple[float, float] = (-math.inf, math.inf),
) -> Statistic | None:
    """Return mean, range and interval of the numbers that are there; None where none is.

    `interval` is that of a single number. `seeds` has one seed for each value; runs that repeat a seed count once, with
    their mean, since they say nothing of other seeds. A seed of None is a seed of its own. No interval of a mean goes
    beyond `possible`, the least and the greatest value that the number can have.
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    by_seed: dict[object, list[float]] = {}
    for index, (value, seed) in enumerate(zip(values, seeds or [None] * len(values), strict=True)):
        if value is not None:
            by_seed.setdefault(("run", index) if seed is None else seed, []).append(value)
    means = [fmean(same) for same in by_seed.values()]
    mean, ends = fmean(means), None
    if len(means) >= MIN_SEEDS:
        half = student_half(means)
        ends = (max(possible[0], mean - half), min(possible[1], mean + half))
    elif interval is not None and len(there) == 1:
        ends = (interval[0], interval[1])
    return Statistic(mean, min(there), max(there), len(means), ends)


def student_half(values: Sequence[float]) -> float:
    """Return half the width of the 95% interval of a mean, t(0.975; n - 1) s / sqrt(n), with Student's t (1908).

    s is the standard deviation over n - 1. The interval holds for draws from a normal distribution.
    Raises ValueError for fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} values: an interval needs two or more")
    t: float = stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    return float(t * stdev(values) / math.sqrt(n))


def number(value: float | None, key: str) -> str:
    """Return three decimals of a score, whole seconds from ten on, and "-" for what is missing."""
    if value is None:
        return "-"
    if key == SECONDS:
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """Return an interval in words, with minus signs as wide as a plus; empty where an end is missing."""
    return "" if low is None or high is None else f"{low:z.2f} to {high:z.2f}".replace("-", "−")


def around(value: Statistic | None, key: str) -> str:
    """Return the 95% interval as [low, high], or without one low–high of several runs; empty where there is neither."""
    if value is None:
        return ""
    low, high = (number(end, key) if key == SECONDS else f"{end:.2f}" for end in value.ends)
    if value.interval is not None:
        return f"[{low}, {high}]"
    return f"{low}–{high}" if value.high > value.low else ""


def number_with_ends(value: Statistic | None, key: str) -> str:
    """Return a mean with what stands `around` it; "-" for what is missing."""
    return f"{number(value.mean if value else None, key)} {around(value, key)}".strip()
