"""Which cases of a grid the default run has."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from tests.rotation import each_once, thin_out


@dataclass
class Case:
    """What `thin_out` asks of one of pytest's cases."""

    nodeid: str
    places: tuple[int, ...]
    marks: list[str] = field(default_factory=lambda: ["grid"])

    @property
    def callspec(self) -> Any:
        return type("CallSpec", (), {"indices": dict(enumerate(self.places))})

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.name)


def test_a_grid_keeps_each_value_of_each_parameter() -> None:
    """Of 3 x 2 x 2 cases the diagonal remains: (0, 0, 0), (1, 1, 1), (2, 0, 0)."""
    cases = [Case(f"test_a[{places}]", places) for places in product(range(3), range(2), range(2))]
    thin_out(cases)  # type: ignore[arg-type]
    assert [case.places for case in cases if "exhaustive" not in case.marks] == [(0, 0, 0), (1, 1, 1), (2, 0, 0)]


def test_grids_are_thinned_one_by_one_and_other_tests_are_left_alone() -> None:
    """Each test has its own lengths."""
    short = [Case(f"test_a[{places}]", places) for places in product(range(2), range(2))]
    long = [Case(f"test_b[{places}]", places) for places in product(range(4), range(1))]
    other = [Case(f"test_c[{places}]", places, []) for places in product(range(2), range(2))]
    thin_out([*short, *long, *other])  # type: ignore[list-item]
    kept = [[case.places for case in cases if "exhaustive" not in case.marks] for cases in (short, long, other)]
    assert kept == [[(0, 0), (1, 1)], [(0, 0), (1, 0), (2, 0), (3, 0)], [(0, 0), (0, 1), (1, 0), (1, 1)]]


def test_two_lists_are_met_once() -> None:
    """All pairs are there; without a mark are those in which every value of either list occurs."""
    cases = each_once("abc", [1, 2])
    assert len(cases) == 6
    assert [case.values for case in cases if not case.marks] == [("a", 1), ("b", 2), ("c", 1)]
