"""Which methods no other one dominates."""

import itertools
import random

from unlearning.report.comparison_row import COLUMNS, ComparisonRow
from unlearning.report.pareto import PANELS, front, front_labels, method_front, points
from unlearning.report.statistic import Statistic


def row(label: str, forget: float | None, retain: float, utility: float | None, role: str = "method") -> ComparisonRow:
    """Return a row with the same number for completions and questions."""
    numbers = {"forget_regurgitation": forget, "forget_knowledge": forget, "utility": utility}
    numbers |= {"retain_regurgitation": retain, "retain_knowledge": retain}
    values = {
        column.key: None if (value := numbers.get(column.key)) is None else Statistic(value, value, value, 1)
        for column in COLUMNS
    }
    return ComparisonRow(label, role, values)


def test_front_by_hand() -> None:
    """(2, 1) beats (1, 1) and (2, 0); (1, 3) and (3, 0) are each best in one; equal pairs stay both."""
    assert front([(1, 1), (2, 1), (1, 3), (3, 0), (2, 0)]) == [2, 1, 3]
    assert front([(1, 1), (1, 1)]) == [0, 1]
    assert front([(1, 1), (1, 2)]) == [1]
    assert front([]) == []


def test_front_is_the_naive_one_and_falls() -> None:
    """A pair is on it exactly if no other is at least as good in both and better in one."""
    source = random.Random(0)
    for _ in range(50):
        places = [(source.randint(0, 6), source.randint(0, 6)) for _ in range(12)]
        kept = front(places)
        naive = {
            index
            for index, (x, y) in enumerate(places)
            if not any((a > x and b >= y) or (a >= x and b > y) for a, b in places)
        }
        assert set(kept) == naive
        assert all(
            places[one][0] <= places[two][0] and places[one][1] >= places[two][1]
            for one, two in itertools.pairwise(kept)
        )


def test_methods_are_compared_with_methods_alone() -> None:
    """The retrained model would dominate all of them; a method without forget scores is left out."""
    rows = [
        row("retrained model", 0.0, 1.0, 1.0, "retrained"),
        row("strong", 0.1, 0.5, 0.4),
        row("gentle", 0.4, 0.9, 0.4),
        row("poor", 0.5, 0.4, 0.3),
        row("unknown", None, 1.0, 1.0),
    ]
    assert [(point.x, point.y) for point in points(rows, PANELS[0])][1] == (0.9, 0.5)
    assert [point.row.label for point in method_front(rows, PANELS[0])] == ["gentle", "strong"]
    assert front_labels(rows) == {PANELS[0]: ["gentle", "strong"], PANELS[1]: ["strong"]}


def test_a_single_method_is_no_front() -> None:
    """There is no front of a single method."""
    assert method_front([row("only", 0.1, 0.5, 0.4)], PANELS[0]) == []
