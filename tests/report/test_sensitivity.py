"""How much a setting explains by itself."""

import random
from itertools import permutations
from pathlib import Path
from statistics import fmean

import pytest

from unlearning.report.grouping import Group
from unlearning.report.runs import Run
from unlearning.report.sensitivity import eta_squared, needs_bins, seed_share, sensitivities, sensitivity
from unlearning.report.swept import SweptKey


def runs(finals: list[float | None]) -> list[Run]:
    """Return runs that have a final score alone."""
    return [
        Run(Path(str(index)), str(index), {"method": "m"}, "finished", metrics={"final": value})
        for index, value in enumerate(finals)
    ]


def test_eta_squared_by_hand() -> None:
    """(1, 3) and (5, 7): mean 4, total 9 + 1 + 1 + 9 = 20, between 2 * 2^2 + 2 * 2^2 = 16, so 0.8."""
    assert eta_squared([[1, 3], [5, 7]]) == pytest.approx(0.8)


def test_eta_squared_of_unequal_groups() -> None:
    """(0,) and (3, 3, 6): mean 3, total 9 + 0 + 0 + 9 = 18, between 1 * 9 + 3 * 1 = 12, so 2 / 3."""
    assert eta_squared([[0], [3, 3, 6]]) == pytest.approx(2 / 3)


def test_eta_squared_at_its_ends() -> None:
    """Groups that share their mean explain nothing, constant groups all; shift and scale change nothing."""
    assert eta_squared([[1, 3], [2, 2]]) == pytest.approx(0)
    assert eta_squared([[1, 1], [2, 2]]) == pytest.approx(1)
    groups = [[0.3, 0.7, 0.1], [0.9, 0.4]]
    moved = [[5 - 3 * value for value in group] for group in groups]
    assert eta_squared(moved) == pytest.approx(eta_squared(groups) or 0)


@pytest.mark.parametrize("groups", [[[1, 2, 3]], [[1], [2], [3]], [[0.1, 0.1], [0.1, 0.1]], [], [[], [1, 2]]])
def test_eta_squared_where_it_cannot_tell(groups: list[list[float]]) -> None:
    """There is no share for a single group, without a group of two, and for equal values."""
    assert eta_squared(groups) is None


def test_chance_is_the_mean_over_all_orders() -> None:
    """Of 5 values dealt to groups of 2, 2 and 1 in every order, eta squared is (3 - 1) / (5 - 1) = 0.5 on average."""
    values = [random.Random(index).random() for index in range(5)]
    dealt = [eta_squared([order[:2], order[2:4], order[4:]]) for order in permutations(values)]
    assert fmean(value for value in dealt if value is not None) == pytest.approx(0.5)
    found = sensitivity(runs(list(values)), SweptKey("key", ("a", "a", "b", "b", "c")))
    assert found.chance == 0.5


def test_means_of_each_value_and_the_ranking() -> None:
    """The first key decides all, the second nothing, the third cannot tell: every run has a value of its own."""
    found = sensitivities(
        runs([1.0, 1.0, 3.0, 3.0]),
        [
            SweptKey("third", ("a", "b", "c", "d")),
            SweptKey("second", ("2", "1", "2", "1")),
            SweptKey("first", ("0.1", "0.1", "0.2", "0.2")),
        ],
    )
    assert [item.key.key for item in found] == ["first", "second", "third"]
    assert [item.explained["final"] for item in found] == [1.0, 0.0, None]
    assert [item.chance for item in found] == [1 / 3, 1 / 3, None]
    assert (found[0].levels, found[0].table["final"].tolist()) == (("0.1", "0.2"), [1.0, 3.0])
    assert found[0].explained["utility"] is None


def test_runs_without_the_score_are_left_out() -> None:
    """1, 3 against 5, 7 as above, whatever the run in between is."""
    found = sensitivity(runs([1, 3, None, 5, 7]), SweptKey("key", ("a", "a", "a", "b", "b")))
    assert found.explained["final"] == pytest.approx(0.8)
    assert found.runs == 4


def test_numbers_that_hardly_repeat_are_put_into_bins() -> None:
    """Eight rates for eight runs: two bins of four, by size; with seeds enough the values themselves are levels."""
    rates = ("0.8", "0.1", "0.7", "0.2", "0.6", "0.3", "0.5", "0.4")
    key = SweptKey("optimizer.lr", rates)
    found = sensitivity(runs([8, 1, 7, 2, 6, 3, 5, 4]), key)
    assert found.binned
    assert found.levels == ("0.1 to 0.4", "0.5 to 0.8")
    assert found.places == (1, 0, 1, 0, 1, 0, 1, 0)
    assert not needs_bins(SweptKey("optimizer.lr", ("0.1", "0.1", "0.2", "0.2", "0.3", "0.3")))
    assert not needs_bins(SweptKey("method", ("a", "b", "c")))
    assert not needs_bins(SweptKey("optimizer.lr", ("0.1", "0.2")))


def test_equal_numbers_share_a_bin() -> None:
    """0.2 thrice among five runs of three values: ranks 0, 1, 1, 1, 4 of 5, so bins 0 and 1 of two."""
    found = sensitivity(runs([1, 2, 3, 4, 5]), SweptKey("optimizer.lr", ("0.1", "0.2", "0.2", "0.2", "0.9")))
    assert found.levels == ("0.1 to 0.2", "0.9")


def test_share_between_seeds() -> None:
    """(1, 3) and (5, 7) as above: 1 - 0.8; with a group of one run it is not known."""
    found = runs([1, 3, 5, 7])
    assert seed_share([Group("a", tuple(found[:2])), Group("b", tuple(found[2:]))]) == pytest.approx(0.2)
    assert seed_share([Group("a", tuple(found[:3])), Group("b", tuple(found[3:]))]) is None
