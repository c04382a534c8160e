"""How many of the first blocks to train, by depth: what was best, its law over depth, and which rule transfers.

The final score is known at some counts k for each depth D, for each seed; between them it is taken as linear in log k.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from experiments.study import Line, grouped

SHARES = tuple(n / 48 for n in range(1, 49))
COUNTS = tuple(range(1, 13))
COVERAGES = tuple(n / 100 for n in range(30, 100))
Scores = Mapping[int, Mapping[int, Sequence[float]]]
"""Depth -> count of blocks -> final score of each seed."""
Effects = Mapping[int, Sequence[float]]
"""Depth -> indirect effect of each block's MLP, nats."""


@dataclass(frozen=True)
class Rule:
    """From a depth to a count of blocks, with one number to set."""

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
    regret: float
    """How far its score is below the depth's best."""


def scores_of(lines: Sequence[Line]) -> Scores:
    """From results.csv, whose blocks are the first ones: 0, 0-1, 0-2, ..."""
    found: dict[int, dict[int, list[float]]] = {}
    for (depth, blocks), runs in grouped(lines, "depth", "blocks").items():
        count = int(blocks.rpartition("-")[2]) + 1
        found.setdefault(int(depth), {})[count] = [float(run["final"]) for run in runs]
    return {depth: dict(sorted(by_count.items())) for depth, by_count in sorted(found.items())}


def score_at(by_count: Mapping[int, float], count: int) -> float:
    """Mean final score at a count; linear in log k between those measured, the outermost beyond them."""
    known = sorted(by_count)
    return float(np.interp(math.log(count), [math.log(k) for k in known], [by_count[k] for k in known]))


def best_count(by_count: Mapping[int, float]) -> float:
    """Where a parabola in log k through the best measured count and its neighbours is highest; at an end, the end."""
    known = sorted(by_count)
    top = max(range(len(known)), key=lambda place: by_count[known[place]])
    if top in (0, len(known) - 1):
        return float(known[top])
    near = known[top - 1 : top + 2]
    a, b, _ = np.polyfit([math.log(k) for k in near], [by_count[k] for k in near], 2)
    return float(math.exp(-b / (2 * a))) if a < 0 else float(known[top])


def law(best: Mapping[int, float]) -> tuple[float, float]:
    """a and b of k = a D^b by least squares of logarithms: b = 0 is a fixed count, b = 1 a fixed share."""
    b, log_a = np.polyfit([math.log(depth) for depth in best], [math.log(count) for count in best.values()], 1)
    return float(math.exp(log_a)), float(b)


def resampled_laws(scores: Scores, resamples: int = 2000) -> list[tuple[float, float]]:
    """The law of each resample: seeds drawn with replacement at each depth and count apart."""
    generator = np.random.default_rng(0)
    return [
        law(
            {
                depth: best_count({k: fmean(generator.choice(finals, len(finals))) for k, finals in by_count.items()})
                for depth, by_count in scores.items()
            }
        )
        for _ in range(resamples)
    ]


def covering(effects: Sequence[float], coverage: float) -> int:
    """The fewest first blocks that hold this share of the summed positive effect."""
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
    """Each rule at each depth, its number being what is best on average at the other depths.

    Of several numbers that are equally good the middle one is taken.
    """
    means = {depth: {k: fmean(finals) for k, finals in by_count.items()} for depth, by_count in scores.items()}
    found = []
    for rule in rules(effects):
        for left_out, by_count in means.items():
            others = {depth: known for depth, known in means.items() if depth != left_out}
            quality = {
                value: fmean(score_at(known, rule.count(value, depth)) for depth, known in others.items())
                for value in rule.values
            }
            top = [value for value, mean in quality.items() if mean >= max(quality.values()) - 1e-9]
            value = top[len(top) // 2]
            count = rule.count(value, left_out)
            regret = max(by_count.values()) - score_at(by_count, count)
            found.append(Transfer(rule.name, left_out, value, count, regret))
    return found
