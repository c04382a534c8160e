"""Means over seeds and their intervals."""

import pytest

from unlearning.report.statistic import statistic, student_half


def test_interval_of_five_seeds() -> None:
    """1 to 5 have mean 3, s = sqrt(2.5), t(0.975; 4) = 2.776445, half = 2.776445 * sqrt(2.5 / 5) = 1.963243."""
    value = statistic([1.0, 2.0, 3.0, 4.0, 5.0], seeds=[0, 1, 2, 3, 4])
    assert value is not None
    assert (value.mean, value.low, value.high, value.n) == (3.0, 1.0, 5.0, 5)
    assert value.interval == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-6)
    assert value.ends == value.interval


def test_an_interval_does_not_leave_the_possible_range() -> None:
    """A mean of 0.8 with a half of 0.555289 would reach beyond 1."""
    value = statistic([1.0, 1.0, 1.0, 1.0, 0.0], possible=(0.0, 1.0))
    assert value is not None
    assert value.interval == pytest.approx((0.8 - 0.555289, 1.0), abs=1e-6)


def test_fewer_than_five_seeds_have_their_range() -> None:
    """0.1, 0.2 and 0.9 have an interval of 0.4 ± 1.08, which says nothing of a number between 0 and 1."""
    value = statistic([0.1, 0.2, 0.9], seeds=[0, 1, 2], possible=(0.0, 1.0))
    assert value is not None
    assert (value.interval, value.ends, value.n) == (None, (0.1, 0.9), 3)


def test_interval_of_two_seeds() -> None:
    """0.4 and 0.6: s = 0.2 / sqrt(2), t(0.975; 1) = 12.706205, half = 12.706205 * 0.1 = 1.270620."""
    assert student_half([0.4, 0.6]) == pytest.approx(1.2706205, abs=1e-7)


def test_equal_seeds_have_no_width() -> None:
    """Equal values have an interval without width; a single value has none."""
    value = statistic([0.5] * 5)
    assert value is not None
    assert value.interval == (0.5, 0.5)
    with pytest.raises(ValueError, match="1 values"):
        student_half([0.5])


def test_what_is_missing_is_left_out() -> None:
    """Only 1 and 3 count; without any number there is nothing."""
    value = statistic([None, 1.0, 3.0], seeds=[0, 1, 2])
    assert value is not None
    assert (value.mean, value.low, value.high, value.n) == (2.0, 1.0, 3.0, 2)
    assert statistic([None], seeds=[0]) is None


def test_runs_that_repeat_a_seed_are_one_draw() -> None:
    """Seed 0 twice, 1.0 and 2.0, and seed 1 with 2.5: draws 1.5 and 2.5, mean 2."""
    value = statistic([1.0, 2.0, 2.5], seeds=[0, 0, 1])
    assert value is not None
    assert (value.mean, value.low, value.high, value.n) == (2.0, 1.0, 2.5, 2)


def test_one_seed_alone_says_nothing_of_others() -> None:
    """Two runs of it have a range; a seed that is not known counts as one of its own."""
    repeated = statistic([1.0, 2.0], seeds=[3, 3])
    assert repeated is not None
    assert (repeated.n, repeated.interval, repeated.ends) == (1, None, (1.0, 2.0))
    unknown = statistic([1.0, 2.0], seeds=[None, None])
    assert unknown is not None
    assert unknown.n == 2


def test_a_single_run_keeps_its_own_interval() -> None:
    """It is an interval over documents and questions, and several runs do not have it."""
    value = statistic([0.5], interval=[0.4, 0.55])
    assert value is not None
    assert value.interval == (0.4, 0.55)
    several = statistic([0.5, 0.7], interval=[0.4, 0.55])
    assert several is not None
    assert (several.interval, several.mean) == (None, pytest.approx(0.6))
