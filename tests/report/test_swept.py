"""Which settings were varied."""

from pathlib import Path
from typing import Any

import pytest

from unlearning.report.runs import Run
from unlearning.report.swept import SweptKey, prefers_logarithm, swept_keys

OBJECTIVES = {
    "npo": {"_target_": "unlearning.objectives.npo.NPO", "beta": 0.1},
    "grad_diff": {"_target_": "unlearning.objectives.grad_diff.GradDiff", "weight": 0.5},
}


def run(number: int, **config: Any) -> Run:
    """Return a finished run with this configuration."""
    return Run(Path(f"job{number}"), f"job{number}", {"method": "one", **config}, "finished")


def names(runs: list[Run]) -> list[str]:
    """Return the names of the keys."""
    return [key.name for key in swept_keys(runs)]


def test_a_grid_of_two_keys() -> None:
    """The seed and what does not matter are no settings."""
    runs = [
        run(index, optimizer={"lr": rate}, schedule={"epochs": epochs, "kind": "mixed"}, seed=index, name=f"n{index}")
        for index, (rate, epochs) in enumerate([(1e-4, 1), (1e-4, 2), (1e-3, 1), (1e-3, 2)])
    ]
    assert names(runs) == ["optimizer.lr", "schedule.epochs"]
    assert swept_keys(runs)[0].numbers == (1e-4, 1e-4, 1e-3, 1e-3)


def test_a_parts_own_numbers_follow_from_its_choice() -> None:
    """beta is set by npo, weight by grad_diff; both belong to the choice of the objective, the rate does not."""
    runs = [
        run(index, objective=OBJECTIVES[name], optimizer={"lr": rate})
        for index, (name, rate) in enumerate([("npo", 1.0), ("npo", 2.0), ("grad_diff", 1.0), ("grad_diff", 2.0)])
    ]
    found = swept_keys(runs)
    assert [key.name for key in found] == ["objective", "optimizer.lr"]
    assert found[0].together == ("objective.beta", "objective.weight")
    assert list(found[0].labels.values()) == ["not set", "GradDiff", "NPO"]


def test_the_method_stands_for_all_that_it_presets() -> None:
    """Three methods of two objectives: the objective follows from the method though the method not from it."""
    kinds = [("a", "npo", 1e-4), ("b", "npo", 1e-3), ("c", "grad_diff", 1e-3)]
    runs = [
        run(index, method=method, objective=OBJECTIVES[name], optimizer={"lr": rate}, schedule={"epochs": epochs})
        for index, (method, name, rate, epochs) in enumerate((*kind, epochs) for kind in kinds for epochs in (1, 2))
    ]
    found = swept_keys(runs)
    assert [key.name for key in found] == ["method", "schedule.epochs"]
    assert set(found[0].together) == {"objective", "objective.beta", "objective.weight", "optimizer.lr"}


def test_settings_that_changed_together_are_one() -> None:
    """In a grid with a third key; the first by name stands for both."""
    runs = [
        run(index, optimizer={"lr": rate, "warmup_steps": steps}, schedule={"epochs": epochs})
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
        run(2 * index + seed, optimizer={"lr": 0.1 + index}, objective={"weight": 7.0 - index}, seed=seed)
        for index in range(4)
        for seed in range(2)
    ]
    assert names(runs) == ["objective.weight", "optimizer.lr"]


def test_nothing_varied() -> None:
    """Where nothing was varied there is no key."""
    assert swept_keys([run(0, seed=0), run(1, seed=1)]) == []
    assert swept_keys([]) == []


def test_levels_and_labels() -> None:
    """Numbers by size, then words, then where it is not set; long text is cut unless that makes two alike."""
    key = SweptKey("ratio.retain_per_forget", ("7", "null", "1.5", None, "10"))
    assert key.levels == ["1.5", "7", "10", "null", None]
    assert key.numbers is None
    assert key.labels[None] == "not set"
    paths = [f"outputs/{'x' * 30}/{end}" for end in ("layers.json", "layers2.json")]
    assert [len(label) for text, label in SweptKey("scope.layers_file", tuple(paths)).labels.items() if text] == [
        22,
        22,
    ]
    alike = [f"outputs/aaaaaa{letter}/{'x' * 30}" for letter in "ab"]
    assert [SweptKey("scope.layers_file", tuple(alike)).labels[text] for text in alike] == alike


@pytest.mark.parametrize(
    ("numbers", "logarithmic"),
    [
        ([1e-4, 3e-4, 1e-3], True),
        ([8, 16, 32], True),
        ([1, 2, 3], False),
        (list(range(1, 11)), False),
        ([1e-5, 1e-3], True),
        ([5, 10], False),
        ([0, 0.5, 1], False),
        ([-1, 10, 100], False),
        ([3, 3], False),
    ],
)
def test_the_axis_fits_the_values(numbers: list[float], logarithmic: bool) -> None:
    """Logarithmic where the middle value is nearer to the middle there."""
    assert prefers_logarithm(numbers) is logarithmic
