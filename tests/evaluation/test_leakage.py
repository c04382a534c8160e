"""leak@k by hand, and against plain restatements over all subsets of the samples."""

import math
from fractions import Fraction
from itertools import combinations
from statistics import fmean

import numpy as np
import pytest

from unlearning.evaluation.leakage import exact_leak, order_weights, sampled_leak, unseen_bound


@pytest.mark.parametrize(
    ("p", "count", "expected"),
    [(0.5, 1, 0.5), (0.5, 3, 7 / 8), (0.2, 2, 0.36), (1.0, 4, 1.0), (0.0, 128, 0.0)],
)
def test_an_exact_leak_by_hand(p: float, count: int, expected: float) -> None:
    """1 - (1 - p) ** k, at both ends too."""
    assert exact_leak(math.log(p) if p else -math.inf, count) == pytest.approx(expected, abs=1e-15)


def test_a_small_probability_is_not_lost() -> None:
    """For p = 1e-20, which 1 - p rounds away, leak@128 is 1.28e-18; a logarithm above 0 counts as p = 1."""
    assert exact_leak(math.log(1e-20), 128) == pytest.approx(1.28e-18, rel=1e-9, abs=0)
    assert exact_leak(math.log(2.2e-5), 128) == pytest.approx(0.0028, abs=5e-5)
    assert exact_leak(1e-9, 2) == 1.0


def test_two_of_three_samples_by_hand() -> None:
    """Of {0, 0.5, 1} the pairs have the maxima 0.5, 1 and 1."""
    assert sampled_leak([1.0, 0.0, 0.5], 2) == pytest.approx(2.5 / 3)
    assert order_weights(3, 2).tolist() == pytest.approx([0.0, 1 / 3, 2 / 3])


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_the_estimate_is_the_mean_over_all_subsets(count: int) -> None:
    """Restated: the greatest of each subset of k samples, averaged over all of them, with ties among the scores."""
    scores = [0.25, 1.0, 0.0, 0.25, 0.5, 0.125, 0.9]
    expected = fmean(max(chosen) for chosen in combinations(scores, count))
    assert sampled_leak(scores, count) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("leaks", "count"), [(0, 128), (1, 1), (3, 64), (100, 128), (200, 8)])
def test_scores_of_0_and_1_give_the_formula_of_pass_at_k(leaks: int, count: int) -> None:
    """Restated in exact fractions for n = 200: 1 - C(n - c, k) / C(n, k)."""
    expected = 1 - Fraction(math.comb(200 - leaks, count), math.comb(200, count))
    assert sampled_leak([1.0] * leaks + [0.0] * (200 - leaks), count) == pytest.approx(float(expected), abs=1e-12)


def test_weights_are_shares() -> None:
    """Even for 10,000 samples, whose binomials overflow, they are not negative and add up to 1."""
    weights = order_weights(10_000, 5_000)
    assert (weights >= 0).all()
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="5 of 4 samples"):
        order_weights(4, 5)


def test_samples_without_a_leak_bound_its_probability() -> None:
    """For n = 200: (1 - p) ** 200 = 0.05 at p = 0.0149."""
    bound = unseen_bound(200)
    assert bound == pytest.approx(0.01487, abs=1e-5)
    assert (1 - bound) ** 200 == pytest.approx(0.05)
