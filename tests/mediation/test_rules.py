"""The rules that choose layers: by hand, against naive references, and on planted effects."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from unlearning.bootstrap import RESAMPLES
from unlearning.config.trace import SelectionRule
from unlearning.errors import InputError
from unlearning.mediation.person_bootstrap import BootstrapMean, PersonBootstrap
from unlearning.mediation.result import LayerGradients
from unlearning.mediation.rules import (
    READS_EFFECTS,
    READS_GRADIENTS,
    RULES,
    LayerChoice,
    baseline,
    by_effects,
    confident,
    share_count,
)

EFFECTS = [0.5, 4.0, -1.0, 3.0, 2.0, 0.5, 0.0, -3.0]
"""The positive effects sum to 10."""
GRADIENTS = LayerGradients(gradient=(1.0, 3.0, 2.0, 3.0), fisher=(9.0, 1.0, 2.0, 3.0))


def chosen(rule: SelectionRule, effects: ArrayLike, value: float) -> tuple[int, ...]:
    return tuple(np.flatnonzero(RULES[rule](np.array([effects], dtype=float), value)[0]))


def certain(effects: ArrayLike) -> BootstrapMean:
    """Return effects that are the same in every resample."""
    mean = np.asarray(effects, dtype=float)
    return BootstrapMean(mean, np.tile(mean, (RESAMPLES, 1)), 1)


def sampled(values: np.ndarray) -> BootstrapMean:
    """Return the means over facts (N, L), each of another person and of five relations in turn."""
    names = [f"{number:03}" for number in range(len(values))]
    return PersonBootstrap(names, [f"relation {number % 5}" for number in range(len(values))]).means(values)


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (SelectionRule.threshold, 1.0, (1,)),
        (SelectionRule.threshold, 0.5, (1, 3, 4)),
        (SelectionRule.threshold, 0.1, (0, 1, 3, 4, 5)),
        (SelectionRule.coverage, 0.4, (1,)),
        (SelectionRule.coverage, 0.5, (3, 4)),
        (SelectionRule.coverage, 0.6, (1, 2, 3)),
        (SelectionRule.coverage, 0.9, (1, 2, 3, 4)),
        (SelectionRule.coverage, 1.0, (0, 1, 2, 3, 4, 5)),
        (SelectionRule.top_share, 0.25, (1, 3)),
        (SelectionRule.top_share, 0.5, (0, 1, 3, 4)),
        (SelectionRule.top_share, 0.01, (1,)),
        (SelectionRule.top_share, 1.0, (0, 1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_rules_that_read_effects(rule: SelectionRule, value: float, expected: tuple[int, ...]) -> None:
    assert chosen(rule, EFFECTS, value) == expected


def test_coverage_takes_the_larger_of_two_short_ranges_and_else_the_lower() -> None:
    assert chosen(SelectionRule.coverage, [3.0, 0.0, 4.0], 0.4) == (2,)
    assert chosen(SelectionRule.coverage, [3.0, 0.0, 3.0], 0.5) == (0,)


@pytest.mark.parametrize(("value", "expected"), [(1.0, tuple(range(10))), (0.5, (0, 1, 2, 3, 4))])
def test_coverage_is_safe_from_rounding(value: float, expected: tuple[int, ...]) -> None:
    assert chosen(SelectionRule.coverage, [0.1] * 10, value) == expected


def test_coverage_of_many_rows_is_that_of_each() -> None:
    effects = np.random.default_rng(0).normal(size=(300, 9))
    found = RULES[SelectionRule.coverage](effects, 0.6)
    for row, own in zip(effects, found, strict=True):
        positive = np.maximum(row, 0)
        runs = [
            (length, -positive[start : start + length].sum(), start)
            for length in range(1, 10)
            for start in range(10 - length)
        ]
        length, _, start = min(run for run in runs if -run[1] >= 0.6 * positive.sum())
        assert list(np.flatnonzero(own)) == list(range(start, start + length))


@pytest.mark.parametrize("rule", list(RULES))
def test_resamples_are_read_one_by_one(rule: SelectionRule) -> None:
    """A resample in which no layer has a positive effect chooses nothing."""
    resampled = np.array([[1.0, 2.0, 9.0, 0.0], [9.0, 1.0, 1.0, 1.0], [-1.0, -2.0, -3.0, 0.0]])
    choice = by_effects(rule, 0.25, BootstrapMean(np.array([0.0, 0.0, 4.0, 0.5]), resampled, 1), None)
    assert choice.layers == (2,)
    assert choice.resampled.tolist() == [[False, False, True, False], [True, False, False, False], [False] * 4]
    assert not choice.fell_back


@pytest.mark.parametrize("rule", READS_EFFECTS)
def test_nothing_is_chosen_where_no_effect_is_positive(rule: SelectionRule) -> None:
    assert by_effects(rule, 0.5, certain([0.0, -1.0, -1.0, -1.0]), None).layers == ()


def test_stability_by_hand() -> None:
    """The Jaccard indices of {0, 1} with {0, 1}, {0}, {0, 1, 2}, {2} and nothing are 1, 1/2, 2/3, 0 and 0."""
    resampled = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert LayerChoice(np.array([True, True, False]), resampled).stability == pytest.approx(0.5)


def test_confidence_is_above_the_median_and_the_placebo() -> None:
    effect = certain([5.0, 4.0, 2.0, 1.0, -1.0])
    assert confident(effect, None, 0.95).layers == (0, 1)
    assert confident(effect, certain([1.0, -1.0, 1.0, 1.0, 1.0]), 0.95).layers == (0,)
    assert confident(certain([-1.0, 2.0, -3.0, -3.0]), None, 0.95).layers == (1,), "not of negative effect"


def test_confidence_holds_resamples_to_the_same_margin() -> None:
    """Layer 1 is 3 +- 1 above the median; all resamples must exceed the same margin."""
    above = np.random.default_rng(0).normal(3.0, 1.0, size=RESAMPLES)
    resampled = np.stack([np.zeros(RESAMPLES), above, np.zeros(RESAMPLES)], axis=1)
    choice = confident(BootstrapMean(np.array([0.0, 3.0, 0.0]), resampled, 10**6), None, 0.95)
    assert choice.layers == (1,)
    assert choice.resampled[:, 1].mean() == pytest.approx((above > 1.645).mean(), abs=0.02)
    assert not choice.resampled[:, [0, 2]].any()


def test_confidence_falls_back_on_a_quarter_of_the_depth() -> None:
    effect = sampled(np.random.default_rng(0).normal(1.0, 5.0, size=(12, 8)))
    choice = by_effects(SelectionRule.confidence, 0.95, effect, None)
    assert choice.fell_back
    assert set(choice.layers) == set(np.argsort(effect.mean)[-2:])
    assert (choice.resampled.sum(1) == 2).all()
    assert not by_effects(SelectionRule.confidence, 0.95, certain(EFFECTS), None).fell_back


def test_confidence_finds_nothing_where_there_is_nothing() -> None:
    """16 layers of 24 persons differ by chance alone: at a confidence of 0.95, 15 of 300 traces choose a layer."""
    generator = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        values = 5.0 + generator.normal(size=(24, 1)) + generator.normal(size=(24, 16))
        found += bool(confident(sampled(values), None, 0.95).layers)
    assert 4 <= found <= 30


@pytest.mark.exhaustive
def test_confidence_needs_a_margin_above_the_placebo() -> None:
    """The states of another person have these effects as well."""
    generator = np.random.default_rng(4)
    found = 0
    for _ in range(100):
        effects = np.linspace(5, 0, 16) + generator.normal(size=(24, 16))
        placebos = np.linspace(5, 0, 16) + generator.normal(size=(24, 16))
        assert confident(sampled(effects), None, 0.95).chosen.any()
        found += bool(confident(sampled(effects), sampled(effects - placebos), 0.95).layers)
    assert found <= 10


def test_confidence_finds_what_was_planted() -> None:
    """Layers 5 and 6 of 16 are 1.5 standard deviations above the others; a change of all layers does not matter."""
    generator = np.random.default_rng(5)
    planted = np.where(np.isin(np.arange(16), [5, 6]), 1.5, 0.0)
    right = 0
    for _ in range(50):
        values = 20.0 + planted + generator.normal(0, 10.0, size=(24, 1)) + generator.normal(size=(24, 16))
        right += confident(sampled(values), None, 0.95).layers == (5, 6)
    assert right >= 40


@pytest.mark.parametrize(
    ("rule", "count", "depth", "expected"),
    [
        (SelectionRule.first, 2, 8, (0, 1)),
        (SelectionRule.last, 2, 8, (6, 7)),
        (SelectionRule.middle, 2, 8, (3, 4)),
        (SelectionRule.middle, 3, 8, (2, 3, 4)),
        (SelectionRule.middle, 1, 4, (1,)),
        (SelectionRule.middle, 8, 8, (0, 1, 2, 3, 4, 5, 6, 7)),
        (SelectionRule.gradient, 1, 4, (1,)),
        (SelectionRule.gradient, 3, 4, (1, 2, 3)),
        (SelectionRule.fisher, 2, 4, (0, 3)),
    ],
)
def test_rules_that_read_no_effects(rule: SelectionRule, count: int, depth: int, expected: tuple[int, ...]) -> None:
    assert baseline(rule, count, depth, 0, GRADIENTS) == expected


@pytest.mark.parametrize("rule", READS_GRADIENTS)
def test_no_gradients(rule: SelectionRule) -> None:
    with pytest.raises(InputError, match=f"trace.rule={rule}: there are no gradients"):
        baseline(rule, 1, 4, 0, None)


def test_random_depends_on_the_seed_alone() -> None:
    drawn = [baseline(SelectionRule.random, 4, 8, seed, None) for seed in range(20)]
    assert drawn == [baseline(SelectionRule.random, 4, 8, seed, GRADIENTS) for seed in range(20)]
    assert len(set(drawn)) > 10
    assert all(list(layers) == sorted(set(layers)) and len(layers) == 4 for layers in drawn)


@pytest.mark.parametrize(("value", "depth", "expected"), [(0.25, 8, 2), (0.3125, 8, 3), (0.01, 8, 1), (1.0, 8, 8)])
def test_shares_of_the_depth(value: float, depth: int, expected: int) -> None:
    assert share_count(value, depth) == expected
