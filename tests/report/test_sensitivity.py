"""Which settings were varied, and how much each explains by itself."""

import random
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from pandas import Series

from unlearning.report.comparison_row import method_row
from unlearning.report.runs import Run
from unlearning.report.sensitivity import (
    SweptKey,
    eta_squared,
    seed_share,
    sensitivities,
    sensitivity,
    swept_keys,
)
from unlearning.report.settings import ABSENT


def scored(finals: list[float | None]) -> list[Run]:
    """Return runs that have a final score alone."""
    return [
        Run(Path(str(index)), str(index), {"method": "m"}, "finished", metrics={"final": value})
        for index, value in enumerate(finals)
    ]


def explained(groups: Sequence[Sequence[float]]) -> float | None:
    """Return eta squared of groups of values."""
    values = Series([value for group in groups for value in group], dtype=float)
    return eta_squared(values, np.repeat(np.arange(len(groups)), [len(group) for group in groups]))


def test_eta_squared_by_hand() -> None:
    """(1, 3) and (5, 7): mean 4, total 9 + 1 + 1 + 9 = 20, between 2 * 2^2 + 2 * 2^2 = 16, so 0.8."""
    assert explained([[1, 3], [5, 7]]) == pytest.approx(0.8)


def test_eta_squared_of_unequal_groups() -> None:
    """(0,) and (3, 3, 6): mean 3, total 9 + 0 + 0 + 9 = 18, between 1 * 9 + 3 * 1 = 12, so 2 / 3."""
    assert explained([[0], [3, 3, 6]]) == pytest.approx(2 / 3)


def test_eta_squared_at_its_ends() -> None:
    """Groups that share their mean explain nothing, constant groups all; shift and scale change nothing."""
    assert explained([[1, 3], [2, 2]]) == pytest.approx(0)
    assert explained([[1, 1], [2, 2]]) == pytest.approx(1)
    groups = [[0.3, 0.7, 0.1], [0.9, 0.4]]
    moved = [[5 - 3 * value for value in group] for group in groups]
    assert explained(moved) == pytest.approx(explained(groups) or 0)


@pytest.mark.parametrize("groups", [[[1, 2, 3]], [[1], [2], [3]], [[0.1, 0.1], [0.1, 0.1]], [], [[], [1, 2]]])
def test_eta_squared_where_it_cannot_tell(groups: list[list[float]]) -> None:
    """There is no share for a single group, without a group of two, and for equal values."""
    assert explained(groups) is None


def test_chance_is_the_mean_over_all_orders() -> None:
    """Of 5 values dealt to groups of 2, 2 and 1 in every order, eta squared is (3 - 1) / (5 - 1) = 0.5 on average."""
    values = [random.Random(index).random() for index in range(5)]
    dealt = [explained([order[:2], order[2:4], order[4:]]) for order in permutations(values)]
    assert fmean(value for value in dealt if value is not None) == pytest.approx(0.5)
    found = sensitivity(scored(list(values)), SweptKey("key", ("a", "a", "b", "b", "c")))
    assert found.chance == 0.5


def test_means_of_each_value_and_the_ranking() -> None:
    """The first key decides all, the second nothing, the third cannot tell: every run has a value of its own."""
    found = sensitivities(
        scored([1.0, 1.0, 3.0, 3.0]),
        [
            SweptKey("third", ("a", "b", "c", "d")),
            SweptKey("second", ("2", "1", "2", "1")),
            SweptKey("first", ("0.1", "0.1", "0.2", "0.2")),
        ],
    )
    assert [item.key.key for item in found] == ["first", "second", "third"]
    assert [item.explained["final"] for item in found] == [1.0, 0.0, None]
    assert [item.chance for item in found] == [1 / 3, 1 / 3, 1]
    assert (found[0].levels, found[0].table["final"].tolist()) == (("0.1", "0.2"), [1.0, 3.0])
    assert found[0].explained["utility"] is None


def test_a_missing_score_is_left_out() -> None:
    """1, 3 against 5, 7 as above, whatever the run in between is."""
    found = sensitivity(scored([1, 3, None, 5, 7]), SweptKey("key", ("a", "a", "a", "b", "b")))
    assert found.explained["final"] == pytest.approx(0.8)


def test_numbers_that_hardly_repeat_are_put_into_bins() -> None:
    """Eight rates for eight runs: two bins of four, by size; with seeds enough the values themselves are levels."""
    rates = ("0.8", "0.1", "0.7", "0.2", "0.6", "0.3", "0.5", "0.4")
    key = SweptKey("optimizer.lr", rates)
    found = sensitivity(scored([8, 1, 7, 2, 6, 3, 5, 4]), key)
    assert found.levels == ("0.1 to 0.4", "0.5 to 0.8")
    assert found.places == (1, 0, 1, 0, 1, 0, 1, 0)
    for texts in (("0.1", "0.1", "0.2", "0.2", "0.3", "0.3"), ("a", "b", "c"), ("0.1", "0.2")):
        found = sensitivity(scored([1] * len(texts)), SweptKey("key", texts))
        assert found.levels == tuple(dict.fromkeys(texts))


def test_equal_numbers_share_a_bin() -> None:
    """0.2 thrice among five runs of three values: ranks 0, 1, 1, 1, 4 of 5, so bins 0 and 1 of two."""
    found = sensitivity(scored([1, 2, 3, 4, 5]), SweptKey("optimizer.lr", ("0.1", "0.2", "0.2", "0.2", "0.9")))
    assert found.levels == ("0.1 to 0.2", "0.9")


def test_share_between_seeds() -> None:
    """(1, 3) and (5, 7) as above: 1 - 0.8; with a group of one run it is not known."""
    found = scored([1, 3, 5, 7])
    assert seed_share([method_row("a", found[:2]), method_row("b", found[2:])]) == pytest.approx(0.2)
    assert seed_share([method_row("a", found[:3]), method_row("b", found[3:])]) is None


OBJECTIVES = {
    "npo": {"_target_": "unlearning.objectives.npo.NPO", "beta": 0.1},
    "grad_diff": {"_target_": "unlearning.objectives.grad_diff.GradDiff", "weight": 0.5},
}


def configured(number: int, **config: Any) -> Run:
    """Return a finished run with this configuration."""
    return Run(Path(f"job{number}"), f"job{number}", {"method": "one", **config}, "finished")


def names(found: list[Run]) -> list[str]:
    """Return the names of the keys."""
    return [key.name for key in swept_keys(found)]


def test_a_grid_of_two_keys() -> None:
    """The seed and what does not matter are no settings."""
    runs = [
        configured(
            index, optimizer={"lr": rate}, schedule={"epochs": epochs, "kind": "mixed"}, seed=index, name=f"n{index}"
        )
        for index, (rate, epochs) in enumerate([(1e-4, 1), (1e-4, 2), (1e-3, 1), (1e-3, 2)])
    ]
    assert names(runs) == ["optimizer.lr", "schedule.epochs"]
    assert swept_keys(runs)[0].numbers == (1e-4, 1e-4, 1e-3, 1e-3)


def test_a_parts_own_numbers_follow_from_its_choice() -> None:
    """beta is set by npo, weight by grad_diff; both belong to the choice of the objective, the rate does not."""
    runs = [
        configured(index, objective=OBJECTIVES[name], optimizer={"lr": rate})
        for index, (name, rate) in enumerate([("npo", 1.0), ("npo", 2.0), ("grad_diff", 1.0), ("grad_diff", 2.0)])
    ]
    found = swept_keys(runs)
    assert [key.name for key in found] == ["objective", "optimizer.lr"]
    assert found[0].together == ("objective.beta", "objective.weight")
    assert list(found[0].labels.values()) == ["GradDiff", "NPO"]


def test_the_method_stands_for_all_that_it_presets() -> None:
    """Three methods of two objectives: the objective follows from the method though the method not from it."""
    kinds = [("a", "npo", 1e-4), ("b", "npo", 1e-3), ("c", "grad_diff", 1e-3)]
    runs = [
        configured(
            index, method=method, objective=OBJECTIVES[name], optimizer={"lr": rate}, schedule={"epochs": epochs}
        )
        for index, (method, name, rate, epochs) in enumerate((*kind, epochs) for kind in kinds for epochs in (1, 2))
    ]
    found = swept_keys(runs)
    assert [key.name for key in found] == ["method", "schedule.epochs"]
    assert set(found[0].together) == {"objective", "objective.beta", "objective.weight", "optimizer.lr"}


def test_settings_that_changed_together_are_one() -> None:
    """In a grid with a third key; the first by name stands for both."""
    runs = [
        configured(index, optimizer={"lr": rate, "warmup_steps": steps}, schedule={"epochs": epochs})
        for index, (rate, steps, epochs) in enumerate([(0.1, 5, 1), (0.1, 5, 2), (0.2, 9, 1), (0.2, 9, 2)])
    ]
    found = swept_keys(runs)
    assert [(key.name, key.together) for key in found] == [
        ("optimizer.lr", ("optimizer.warmup_steps",)),
        ("schedule.epochs", ()),
    ]


def test_numbers_drawn_by_a_search_stay_apart() -> None:
    """Each job has a rate and a weight of its own, and a second seed of it: nothing says that they belong together."""
    runs = [
        configured(2 * index + seed, optimizer={"lr": 0.1 + index}, objective={"weight": 7.0 - index}, seed=seed)
        for index in range(4)
        for seed in range(2)
    ]
    assert names(runs) == ["objective.weight", "optimizer.lr"]


def test_nothing_varied() -> None:
    """Where nothing was varied there is no key."""
    assert swept_keys([configured(0, seed=0), configured(1, seed=1)]) == []
    assert swept_keys([]) == []


def test_levels_and_labels() -> None:
    """Numbers by size, then words; long text is cut unless that makes two alike."""
    key = SweptKey("ratio.retain_per_forget", ("7", "null", "1.5", ABSENT, "10"))
    assert key.levels == ["1.5", "7", "10", ABSENT, "null"]
    assert key.numbers is None
    paths = tuple(f"outputs/{'x' * 30}/{end}" for end in ("layers.json", "layers2.json"))
    labels = SweptKey("scope.layers_file", paths).labels
    assert [len(labels[text]) for text in paths] == [22, 22]
    alike = tuple(f"outputs/aaaaaa{letter}/{'x' * 30}" for letter in "ab")
    assert [SweptKey("scope.layers_file", alike).labels[text] for text in alike] == list(alike)
