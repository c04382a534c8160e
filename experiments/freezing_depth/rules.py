"""How many of the first layers have to move, by depth: the law of the threshold, and which rule for it transfers.

The freezing threshold of a model of D layers: the fewest first layers k whose training reaches 95% of the score that
training all D reaches. Scores are known at some k for each seed; between these they are taken as linear in log k.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from experiments.study import Line, grouped

REACHED = 0.95
SHARES = tuple(n / 48 for n in range(1, 49))
COUNTS = tuple(range(1, 25))
COVERAGES = tuple(n / 200 for n in range(60, 201))
Means = Mapping[int, float]
"""Count of layers -> mean score over seeds."""
Scores = Mapping[int, Mapping[int, Sequence[float]]]
"""Depth -> count of layers -> score of each seed."""
Effects = Mapping[int, Sequence[float]]
"""Depth -> indirect effect of each layer's MLP, nats."""


@dataclass(frozen=True)
class Rule:
    """From a depth to a count of layers, with one number to set; larger numbers never give fewer layers."""

    name: str
    values: Sequence[float]
    count: Callable[[float, int], int]


@dataclass(frozen=True)
class Transfer:
    """A rule whose number was set on the other depths, at one depth."""

    rule: str
    depth: int
    value: float
    count: int
    reached: float
    """Its score there, as a share of that of all layers."""
    factor: float
    """Its count over the threshold, or the threshold over its count: 1 is exact."""


def scores_of(lines: Sequence[Line], key: str) -> Scores:
    """From results.csv, whose layers are the first ones: 0, 0-1, 0-2, ... ValueError where all of them are missing."""
    found: dict[int, dict[int, list[float]]] = {}
    for (depth, layers), runs in grouped(lines, "depth", "layers").items():
        count = int(layers.rpartition("-")[2]) + 1
        found.setdefault(int(depth), {})[count] = [float(run[key]) for run in runs]
    for depth, by_count in found.items():
        if max(by_count) != depth:
            raise ValueError(f"depth {depth}: no run trains all its layers, and the threshold is a share of that score")
    return {depth: dict(sorted(by_count.items())) for depth, by_count in sorted(found.items())}


def means_of(scores: Scores) -> dict[int, dict[int, float]]:
    """Over seeds."""
    return {depth: {k: fmean(values) for k, values in by_count.items()} for depth, by_count in scores.items()}


def score_at(means: Means, count: float) -> float:
    """Linear in log k between the measured counts."""
    known = sorted(means)
    return float(np.interp(math.log(count), [math.log(k) for k in known], [means[k] for k in known]))


def threshold(means: Means) -> float:
    """The least k, between measured ones too, with REACHED of the score of all layers, that of the largest k."""
    known = sorted(means)
    wanted = REACHED * means[known[-1]]
    first = next(place for place, k in enumerate(known) if means[k] >= wanted)
    if first == 0:
        return float(known[0])
    low, high = known[first - 1], known[first]
    share = (wanted - means[low]) / (means[high] - means[low])
    return float(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))


def law(thresholds: Mapping[int, float]) -> tuple[float, float]:
    """a and b of k = a D^b by least squares of logarithms: b = 0 is a fixed count, b = 1 a fixed share."""
    x, y = [math.log(depth) for depth in thresholds], [math.log(count) for count in thresholds.values()]
    b, log_a = np.polyfit(x, y, 1)
    return float(math.exp(log_a)), float(b)


def resampled_laws(scores: Scores, resamples: int = 2000) -> list[tuple[float, float]]:
    """The law of each resample: seeds drawn with replacement at each depth and count apart."""
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
    """The fewest first layers that hold this share of the summed positive effect."""
    positive = [max(0.0, effect) for effect in effects]
    sums = list(itertools.accumulate(positive))
    return next(k for k, held in enumerate(sums, 1) if held >= coverage * sums[-1] - 1e-12)


def rules(effects: Effects) -> list[Rule]:
    """The three that are compared."""
    return [
        Rule("fixed count", COUNTS, lambda value, depth: min(int(value), depth)),
        Rule("fixed share of depth", SHARES, lambda value, depth: max(1, round(value * depth))),
        Rule("share of the traced effect", COVERAGES, lambda value, depth: covering(effects[depth], value)),
    ]


def transfers(scores: Scores, effects: Effects) -> list[Transfer]:
    """Each rule at each depth, its number being set on the other depths."""
    means, found = means_of(scores), []
    for rule in rules(effects):
        for depth, own in means.items():
            value = set_on(rule, {other: known for other, known in means.items() if other != depth})
            count = rule.count(value, depth)
            off = math.log(count / threshold(own))
            found.append(Transfer(rule.name, depth, value, count, _reached(own, count), math.exp(abs(off))))
    return found


def set_on(rule: Rule, means: Mapping[int, Means]) -> float:
    """The least number with which these depths reach REACHED on average; of those with the same counts, the middle."""
    counts = {value: [rule.count(value, depth) for depth in means] for value in rule.values}
    shares = {
        value: fmean(_reached(known, k) for known, k in zip(means.values(), counts[value], strict=True))
        for value in counts
    }
    least = next((value for value, share in shares.items() if share >= REACHED - 1e-12), rule.values[-1])
    same = [value for value in rule.values if counts[value] == counts[least]]
    return same[len(same) // 2]


def _reached(means: Means, count: int) -> float:
    return score_at(means, count) / means[max(means)]
