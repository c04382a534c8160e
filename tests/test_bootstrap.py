"""The bootstrap's draws, weights and intervals, by hand."""

import numpy as np
import pytest

from unlearning.bootstrap import RESAMPLES, count_draws, draw_indices, draw_weights, percentile_interval


def test_the_draws_of_a_seed_are_always_the_same() -> None:
    """The numbers are those of the generator's own integers, one resample a row."""
    drawn = draw_indices(np.random.default_rng(0), 5, 3)
    assert drawn.tolist() == np.random.default_rng(0).integers(5, size=(3, 5)).tolist()
    assert draw_indices(np.random.default_rng(0), 2).shape == (RESAMPLES, 2)


def test_count_draws() -> None:
    """Index 2 occurs twice in the first row, and index 1 three times in the second."""
    assert count_draws(np.array([[0, 2, 2], [1, 1, 1]]), 4).tolist() == [[1, 0, 2, 0], [0, 3, 0, 0]]


def test_weights_of_a_stratum_sum_to_its_size() -> None:
    """Of three units two are drawn, and each counts 3 / 2 times."""
    weights = draw_weights(np.random.default_rng(0), 3, 200)
    assert set(np.unique(weights)) == {0.0, 1.5, 3.0}
    assert weights.sum(1) == pytest.approx(3.0)


def test_a_single_unit_weighs_one_and_draws_nothing() -> None:
    """The next stratum gets the same draws as without the single unit."""
    generator = np.random.default_rng(0)
    assert draw_weights(generator, 1, 4).tolist() == [[1.0]] * 4
    assert draw_weights(generator, 3, 4).tolist() == draw_weights(np.random.default_rng(0), 3, 4).tolist()


def test_percentile_interval_leaves_out_what_is_not_a_number() -> None:
    """Of 0 to 40, 2.5% lie below 1 and 2.5% above 39; every column has an interval of its own."""
    values = np.append(np.arange(41.0), np.nan)
    low, high = percentile_interval(np.stack([values, 2 * values], axis=1))
    assert low.tolist() == pytest.approx([1.0, 2.0])
    assert high.tolist() == pytest.approx([39.0, 78.0])
    assert [float(end) for end in percentile_interval(values)] == pytest.approx([1.0, 39.0])
