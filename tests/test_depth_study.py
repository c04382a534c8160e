"""Tests of experiments/freezing_depth on made-up scores: thresholds, their law over depth, and how rules transfer."""

import math

import pytest

from experiments.freezing_depth.rules import covering, law, resampled_laws, score_at, scores_of, threshold, transfers


def test_a_score_between_two_counts_is_linear_in_the_logarithm() -> None:
    """Between 2 (0.4) and 8 (0.8) the count 4 is half-way; outside the measured counts the nearest score is taken."""
    known = {2: 0.4, 8: 0.8}
    assert [score_at(known, count) for count in (1, 2, 4, 8, 9)] == pytest.approx([0.4, 0.4, 0.6, 0.8, 0.8])


def test_the_threshold_is_where_the_score_of_all_layers_is_nearly_reached() -> None:
    """All eight layers reach 0.8, so the threshold is at 0.76: half-way from 0.72 at 2 to 0.8 at 4, which is 2 sqrt 2.

    If one layer is good enough the threshold is 1. Between 0 at 2 and 1 at 8 it lies at 95% of the way in log k.
    """
    assert threshold({1: 0.1, 2: 0.72, 4: 0.8, 8: 0.8}) == pytest.approx(2 * 2**0.5)
    assert threshold({1: 0.78, 8: 0.8}) == 1
    assert threshold({2: 0.0, 8: 1.0}) == pytest.approx(math.exp(math.log(2) + 0.95 * math.log(4)))


def test_the_law_of_a_share_and_of_a_count() -> None:
    """The law of k = D / 4 has a = 0.25 and b = 1, that of k = 3 has a = 3 and b = 0."""
    assert law({4: 1, 8: 2, 16: 4}) == pytest.approx((0.25, 1))
    assert law({4: 3, 8: 3, 24: 3}) == pytest.approx((3, 0))


def test_seeds_that_agree_give_one_law() -> None:
    """If all seeds have the same scores, resampling changes nothing; here half of the layers are enough."""
    scores = {4: {1: [0.1, 0.1], 2: [0.9, 0.9], 4: [0.9, 0.9]}, 8: {1: [0.1, 0.1], 4: [0.9, 0.9], 8: [0.9, 0.9]}}
    means = {depth: {k: values[0] for k, values in by_count.items()} for depth, by_count in scores.items()}
    assert set(resampled_laws(scores, 5)) == {law({depth: threshold(own) for depth, own in means.items()})}


def test_covering_counts_positive_effects() -> None:
    """Of effects 6, -5, 3, 1 the positive ones sum to 10: one layer holds 6, three hold 9, four hold all."""
    effects = [6.0, -5.0, 3.0, 1.0]
    assert [covering(effects, share) for share in (0.5, 0.6, 0.61, 0.9, 0.95, 1.0)] == [1, 1, 3, 3, 4, 4]


def test_a_rule_that_is_right_is_exact_at_every_depth() -> None:
    """A quarter of the depth reaches 95% and holds 80% of the effect: share and coverage transfer, a count does not."""
    scores = {depth: {1: [0.0], depth // 4: [0.95], depth: [1.0]} for depth in (8, 16, 32)}
    effects = {depth: [0.8 * 4 / depth] * (depth // 4) + [0.8 / (3 * depth)] * (3 * depth // 4) for depth in scores}
    found = transfers(scores, effects)
    factors = {rule: [item.factor for item in found if item.rule == rule] for rule in {item.rule for item in found}}
    assert factors["fixed share of depth"] == pytest.approx([1, 1, 1])
    assert factors["share of the traced effect"] == pytest.approx([1, 1, 1])
    assert min(factors["fixed count"]) > 1.2


def test_a_depth_without_a_run_of_all_layers_is_refused() -> None:
    """A half-finished depth is refused, because its threshold would be far too low."""
    lines = [{"depth": "4", "layers": layers, "final": "0.5"} for layers in ("0", "0-3")]
    assert scores_of(lines, "final") == {4: {1: [0.5], 4: [0.5]}}
    with pytest.raises(ValueError, match="depth 4: no run trains all its layers"):
        scores_of(lines[:1], "final")
