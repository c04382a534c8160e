"""Measures how stable the choice of layers from n facts is, by drawing facts from a trace of all facts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from experiments.facts_needed.effects import Facts, read_facts
from experiments.study import Line
from unlearning.bootstrap import Values
from unlearning.config.trace import SelectionRule
from unlearning.mediation.facts import Fact, spread
from unlearning.mediation.rules import RULES as MEANS
from unlearning.mediation.rules import Mask, by_effects

ESTIMATORS = ("noise", "replacement")
KIND = "mlp"
RULES = {
    SelectionRule.confidence: 0.95,
    SelectionRule.threshold: 0.5,
    SelectionRule.coverage: 0.8,
    SelectionRule.top_share: 0.25,
}
"""Rule for choosing layers -> the number that it is given."""
SIZES = (5, 10, 20, 50, 100, 200, 500)
"""Facts in a draw."""
DRAWS = 300
"""Draws of each size."""
COLUMNS = (
    *("estimator", "scheme", "n", "rule", "value", "all_facts", "chosen_from_all", "draws", "jaccard", "same"),
    *("same_low", "same_high", "fell_back", "pair_jaccard", "pair_same", "correlation", "correlation_low"),
)
Cells = tuple[object, ...]


@dataclass(frozen=True)
class DrawResult:
    """What the facts of one draw say about the layers."""

    chosen: dict[SelectionRule, Mask]
    fell_back: bool
    """Whether the confidence rule chose no layer, so that the layers of largest effect were taken."""
    curve: Values
    """Mean effect of each layer."""


def collected_lines(folder: Path) -> list[Line]:
    """Return the lines for results.csv from the traces in folder/ESTIMATOR/forget and folder/ESTIMATOR/retain."""
    lines: list[Line] = []
    for estimator in ESTIMATORS:
        facts = read_facts(*(folder / estimator / split / "effects.parquet" for split in ("forget", "retain")))
        for cells in statistics(facts, DRAWS):
            lines.append({key: str(cell) for key, cell in zip(COLUMNS, (estimator, *cells), strict=True)})
    return lines


def statistics(facts: Facts, draws: int) -> Iterator[Cells]:
    """Yield the cells of a line for each way of drawing, size and rule."""
    everything = choose(facts)
    for scheme, draw in SCHEMES.items():
        for size in SIZES:
            samples = [draw(facts, size, seed) for seed in range(draws)]
            if all(sample is None for sample in samples):
                continue
            ones = [choose(sample) for sample in samples if sample is not None]
            pairs = (
                [pair for seed in range(draws) if (pair := disjoint_draws(facts, size, seed))]
                if scheme == "spread"
                else []
            )
            twos = [(choose(one), choose(two)) for one, two in pairs]
            for rule, value in RULES.items():
                yield scheme, size, rule, value, len(facts.ids), *_line(rule, everything, ones, twos)


def _line(
    rule: SelectionRule,
    everything: DrawResult,
    ones: Sequence[DrawResult],
    twos: Sequence[tuple[DrawResult, DrawResult]],
) -> Cells:
    """Return one rule's cells: how far the draws agree with all facts, and two draws with each other."""
    chosen = everything.chosen[rule]
    indices = [jaccard(one.chosen[rule], chosen) for one in ones]
    pair_indices = [jaccard(one.chosen[rule], two.chosen[rule]) for one, two in twos]
    correlations = [float(spearmanr(one.curve, everything.curve).statistic) for one in ones]
    same = float(np.mean(np.equal(indices, 1)))
    low, high = wilson(same, len(ones))
    back = float(np.mean([one.fell_back for one in ones])) if rule is SelectionRule.confidence else ""
    pairs: Cells = (
        (float(np.mean(pair_indices)), float(np.mean(np.equal(pair_indices, 1)))) if pair_indices else ("", "")
    )
    numbers = (float(np.mean(indices)), same, low, high, back, *pairs)
    numbers = (*numbers, float(np.mean(correlations)), float(np.percentile(correlations, 5)))
    layers = " ".join(map(str, np.flatnonzero(chosen)))
    return layers, len(ones), *(f"{number:.4f}" if isinstance(number, float) else number for number in numbers)


def choose(facts: Facts) -> DrawResult:
    """Return the layers that each rule chooses from these facts, as unlearn-trace would choose them."""
    effect, above = facts.means(KIND)
    chosen = {rule: by_effects(rule, value, effect, above).chosen for rule, value in RULES.items() if rule in MEANS}
    sure = by_effects(SelectionRule.confidence, RULES[SelectionRule.confidence], effect, above)
    return DrawResult({**chosen, SelectionRule.confidence: sure.chosen}, sure.fell_back, effect.mean)


def spread_draw(facts: Facts, size: int, seed: int) -> Facts | None:
    """Return the facts that unlearn-trace takes with trace.facts=size and another trace.seed.

    These are one fact of each person, then a second fact of each, with the relations in turn. Returns None if there
    are not more than `size` facts.
    """
    if size >= len(facts.ids):
        return None
    place = {str(name): index for index, name in enumerate(facts.ids)}
    every = [
        Fact(str(name), "", "", 0, "", str(person), str(relation))
        for name, person, relation in zip(facts.ids, facts.persons, facts.relations, strict=True)
    ]
    return facts.subset(sorted(place[fact.id] for fact in spread(every, seed)[:size]))


def persons_draw(facts: Facts, size: int, seed: int) -> Facts:
    """Draw whole persons with replacement, as if from a larger world, until there are `size` facts.

    Facts of the last person that are too many are left out. A person who is drawn twice counts as two persons.
    """
    generator = np.random.default_rng(seed)
    own = [np.flatnonzero(facts.persons == person) for person in np.unique(facts.persons)]
    drawn: list[int] = []
    names: list[str] = []
    while len(drawn) < size:
        person = generator.permutation(own[generator.integers(len(own))])
        names += [f"{len(drawn)}"] * len(person)
        drawn += map(int, person)
    return replace(facts.subset(drawn[:size]), persons=np.array(names[:size]))


SCHEMES = {"spread": spread_draw, "persons": persons_draw}


def disjoint_draws(facts: Facts, size: int, seed: int) -> tuple[Facts, Facts] | None:
    """Return two draws by `spread_draw` that have no person in common, or None if there are too few facts."""
    persons = np.random.default_rng(seed).permutation(np.unique(facts.persons))
    halves = [facts.subset(np.flatnonzero(np.isin(facts.persons, half))) for half in np.array_split(persons, 2)]
    one, two = (spread_draw(half, size, seed) for half in halves)
    return None if one is None or two is None else (one, two)


def jaccard(one: Mask, two: Mask) -> float:
    """Return the layers that both choose over the layers that either chooses, and 1 if neither chooses any."""
    either = (one | two).sum()
    return float((one & two).sum() / either) if either else 1.0


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share of `count` draws (Wilson 1927)."""
    square = 1.959964**2 / count
    middle, half = share + square / 2, (square * (share * (1 - share) + square / 4)) ** 0.5
    return (middle - half) / (1 + square), (middle + half) / (1 + square)
