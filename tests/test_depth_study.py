"""experiments/freezing_depth/: best counts, their law over depth, and how a rule transfers, on made scores."""

import math

import pytest

from experiments.freezing_depth.rules import best_count, covering, law, resampled_laws, score_at, transfers


def test_a_score_between_two_counts_is_linear_in_the_logarithm() -> None:
    """Between 2 (0.4) and 8 (0.8), 4 is half-way; beyond the measured counts the outermost holds."""
    known = {2: 0.4, 8: 0.8}
    assert [score_at(known, count) for count in (1, 2, 4, 8, 9)] == pytest.approx([0.4, 0.4, 0.6, 0.8, 0.8])


def test_the_best_count_is_that_of_a_parabola() -> None:
    """1 - (log k - log 3)^2 at 1, 2, 6 is highest at 3, which was not measured; at an end it is the end."""
    scores = {k: 1 - (math.log(k) - math.log(3)) ** 2 for k in (1, 2, 6)}
    assert best_count(scores) == pytest.approx(3)
    assert best_count({1: 0.2, 2: 0.5, 4: 0.9}) == 4
    assert best_count({1: 0.9, 2: 0.5, 4: 0.2}) == 1


def test_the_law_of_a_share_and_of_a_count() -> None:
    """k = D / 4: a = 0.25, b = 1; k = 3: a = 3, b = 0."""
    assert law({4: 1, 8: 2, 16: 4}) == pytest.approx((0.25, 1))
    assert law({4: 3, 8: 3, 24: 3}) == pytest.approx((3, 0))


def test_seeds_that_agree_give_one_law() -> None:
    """Resampling changes nothing then."""
    scores = {4: {1: [0.9, 0.9], 2: [0.1, 0.1]}, 8: {1: [0.1, 0.1], 2: [0.9, 0.9]}}
    assert set(resampled_laws(scores, 5)) == {law({4: 1, 8: 2})}


def test_covering_counts_positive_effects() -> None:
    """6, -5, 3, 1: of 10 nats, 6 with one block, 9 with three, all with four."""
    effects = [6.0, -5.0, 3.0, 1.0]
    assert [covering(effects, share) for share in (0.5, 0.6, 0.61, 0.9, 0.95, 1.0)] == [1, 1, 3, 3, 4, 4]


def test_a_rule_that_is_right_loses_nothing() -> None:
    """Best is a quarter of the depth, with 80% of the effect in it: share and coverage transfer, a count does not.

    A count set at depths 8 and 16 (best 2 and 4) cannot be right at depth 4 (best 1) too.
    """
    scores = {
        depth: {k: [1 - abs(math.log2(k) - math.log2(depth / 4)) / 4] * 2 for k in (1, 2, 4)} for depth in (4, 8, 16)
    }
    effects = {depth: [0.8 * 4 / depth] * (depth // 4) + [0.2 * 4 / (3 * depth)] * (3 * depth // 4) for depth in scores}
    found = transfers(scores, effects)
    losses = {rule: [item.regret for item in found if item.rule == rule] for rule in {item.rule for item in found}}
    assert losses["fixed share of depth"] == pytest.approx([0, 0, 0])
    assert losses["share of the traced effect"] == pytest.approx([0, 0, 0])
    assert losses["fixed count"][0] > 0.2
