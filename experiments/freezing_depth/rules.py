"""Computes how many of the first layers have to be trained at each depth, and which rule for it transfers.

The freezing threshold of a model of D layers is the smallest number k of first layers whose training reaches 95% of
the score that training all D layers reaches. Scores are known at some k for each seed. Between these k the score is
taken to be linear in log k.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from experiments.study import Line, group_by

REACHED = 0.95
"""Share of the score of all layers that the threshold must reach."""
SHARES = tuple(n / 48 for n in range(1, 49))
COUNTS = tuple(range(1, 25))
COVERAGES = tuple(n / 200 for n in range(60, 201))
"""Numbers that the three rules may be set to."""
Means = Mapping[int, float]
"""Count of layers -> mean score over seeds."""
Scores = Mapping[int, Mapping[int, Sequence[float]]]
"""Depth -> count of layers -> score of each seed."""
Effects = Mapping[int, Sequence[float]]
"""Depth -> indirect effect of each layer's MLP, nats."""


@dataclass(frozen=True)
class Rule:
    """A rule that says how many first layers to train at a depth. It has one number to set.

    A larger number never gives fewer layers.
    """

    name: str
    values: Sequence[float]
    count: Callable[[float, int], int]


@dataclass(frozen=True)
class Transfer:
    """The result at one depth of a rule whose number was set on the other depths."""

    rule: str
    depth: int
    value: float
    count: int
    reached: float
    """Score at this depth as a share of the score of all layers."""
    factor: float
    """Count over threshold, or threshold over count, whichever is larger: 1 is exact."""


def scores_of(lines: Sequence[Line], key: str) -> Scores:
    """Return the scores in results.csv, where the trained layers are the first ones: 0, 0-1, 0-2, ...

    Raises ValueError if a depth has no run that trains all of its layers.
    """
    found: dict[int, dict[int, list[float]]] = {}
    for (depth, layers), runs in group_by(lines, "depth", "layers").items():
        count = int(layers.rpartition("-")[2]) + 1
        found.setdefault(int(depth), {})[count] = [float(run[key]) for run in runs]
    for depth, by_count in found.items():
        if max(by_count) != depth:
            raise ValueError(f"depth {depth}: no run trains all its layers, and the threshold is a share of that score")
    return {depth: dict(sorted(by_count.items())) for depth, by_count in sorted(found.items())}


def means_of(scores: Scores) -> dict[int, dict[int, float]]:
    """Return the mean over seeds of each score."""
    return {depth: {k: fmean(values) for k, values in by_count.items()} for depth, by_count in scores.items()}


def score_at(means: Means, count: float) -> float:
    """Return the score at a count of layers, linear in log k between the measured counts."""
    known = sorted(means)
    return float(np.interp(math.log(count), [math.log(k) for k in known], [means[k] for k in known]))


def threshold(means: Means) -> float:
    """Return the smallest k, also between measured ones, that reaches REACHED of the score of the largest k."""
    known = sorted(means)
    wanted = REACHED * means[known[-1]]
    first = next(place for place, k in enumerate(known) if means[k] >= wanted)
    if first == 0:
        return float(known[0])
    low, high = known[first - 1], known[first]
    share = (wanted - means[low]) / (means[high] - means[low])
    return float(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))


def law(thresholds: Mapping[int, float]) -> tuple[float, float]:
    """Return a and b of k = a D^b, fitted by least squares of logarithms.

    With b = 0 the threshold is a fixed count of layers, with b = 1 a fixed share of them.
    """
    x, y = [math.log(depth) for depth in thresholds], [math.log(count) for count in thresholds.values()]
    b, log_a = np.polyfit(x, y, 1)
    return float(math.exp(log_a)), float(b)


def resampled_laws(scores: Scores, resamples: int = 2000) -> list[tuple[float, float]]:
    """Return the law of each resample; seeds are drawn with replacement, at each depth and count separately."""
    generator = np.random.default_rng(0)
    return [
        law(
            {
                depth: threshold({k: fmean(generator.choice(values, len(values))) for k, values in by_count.items()})
                for depth, by_count in scores.items()
            }
        )
        for _ in range(resamples)
    ]


def covering(effects: Sequence[float], coverage: float) -> int:
    """Return the smallest number of first layers that hold this share of the sum of positive effects."""
    positive = [max(0.0, effect) for effect in effects]
    sums = list(itertools.accumulate(positive))
    return next(k for k, held in enumerate(sums, 1) if held >= coverage * sums[-1] - 1e-12)


def rules(effects: Effects) -> list[Rule]:
    """Return the three rules that are compared."""
    return [
        Rule("fixed count", COUNTS, lambda value, depth: min(int(value), depth)),
        Rule("fixed share of depth", SHARES, lambda value, depth: max(1, round(value * depth))),
        Rule("share of the traced effect", COVERAGES, lambda value, depth: covering(effects[depth], value)),
    ]


def transfers(scores: Scores, effects: Effects) -> list[Transfer]:
    """Return the result of each rule at each depth; its number is set on the other depths."""
    means, found = means_of(scores), []
    for rule in rules(effects):
        for depth, own in means.items():
            value = fitted_number(rule, {other: known for other, known in means.items() if other != depth})
            count = rule.count(value, depth)
            off = math.log(count / threshold(own))
            found.append(Transfer(rule.name, depth, value, count, _reached(own, count), math.exp(abs(off))))
    return found


def fitted_number(rule: Rule, means: Mapping[int, Means]) -> float:
    """Return the smallest number with which these depths reach REACHED on average.

    Several numbers can give the same counts of layers; of these the middle one is returned.
    """
    counts = {value: [rule.count(value, depth) for depth in means] for value in rule.values}
    shares = {
        value: fmean(_reached(known, k) for known, k in zip(means.values(), counts[value], strict=True))
        for value in counts
    }
    least = next((value for value, share in shares.items() if share >= REACHED - 1e-12), rule.values[-1])
    same = [value for value in rule.values if counts[value] == counts[least]]
    return same[len(same) // 2]


def _reached(means: Means, count: int) -> float:
    """Return the score at a count of layers as a share of the score of all layers."""
    return score_at(means, count) / means[max(means)]
