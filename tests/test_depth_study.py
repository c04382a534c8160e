"""experiments/freezing_depth/: thresholds, their law over depth, and how a rule transfers, on made scores."""

import math

import pytest

from experiments.freezing_depth.rules import covering, law, resampled_laws, score_at, scores_of, threshold, transfers


def test_a_score_between_two_counts_is_linear_in_the_logarithm() -> None:
    """Between 2 (0.4) and 8 (0.8), 4 is half-way; beyond the measured counts the outermost holds."""
    known = {2: 0.4, 8: 0.8}
    assert [score_at(known, count) for count in (1, 2, 4, 8, 9)] == pytest.approx([0.4, 0.4, 0.6, 0.8, 0.8])


def test_the_threshold_is_where_the_score_of_all_layers_is_nearly_reached() -> None:
    """All eight reach 0.8, so 0.76 is wanted: half-way from 0.72 at 2 to 0.8 at 4, and in log k that is 2 sqrt 2.

    Where one layer is good enough it is 1; between 0 at 2 and 1 at 8, 95% of the way.
    """
    assert threshold({1: 0.1, 2: 0.72, 4: 0.8, 8: 0.8}) == pytest.approx(2 * 2**0.5)
    assert threshold({1: 0.78, 8: 0.8}) == 1
    assert threshold({2: 0.0, 8: 1.0}) == pytest.approx(math.exp(math.log(2) + 0.95 * math.log(4)))


def test_the_law_of_a_share_and_of_a_count() -> None:
    """k = D / 4: a = 0.25, b = 1; k = 3: a = 3, b = 0."""
    assert law({4: 1, 8: 2, 16: 4}) == pytest.approx((0.25, 1))
    assert law({4: 3, 8: 3, 24: 3}) == pytest.approx((3, 0))


def test_seeds_that_agree_give_one_law() -> None:
    """Resampling changes nothing then: half of the layers are enough."""
    scores = {4: {1: [0.1, 0.1], 2: [0.9, 0.9], 4: [0.9, 0.9]}, 8: {1: [0.1, 0.1], 4: [0.9, 0.9], 8: [0.9, 0.9]}}
    means = {depth: {k: values[0] for k, values in by_count.items()} for depth, by_count in scores.items()}
    assert set(resampled_laws(scores, 5)) == {law({depth: threshold(own) for depth, own in means.items()})}


def test_covering_counts_positive_effects() -> None:
    """6, -5, 3, 1: of 10 nats, 6 with one layer, 9 with three, all with four."""
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
    """Half-finished, it would give a threshold that is far too low."""
    lines = [{"depth": "4", "layers": layers, "final": "0.5"} for layers in ("0", "0-3")]
    assert scores_of(lines, "final") == {4: {1: [0.5], 4: [0.5]}}
    with pytest.raises(ValueError, match="depth 4: no run trains all its layers"):
        scores_of(lines[:1], "final")
