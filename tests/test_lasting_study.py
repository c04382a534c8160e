"""Tests of experiments/lasting: the front and the bars, worked out by hand."""

import pytest

from experiments.lasting import study

MET = {
    "group": "methods",
    "setting": "a",
    "final": "0.9",
    "task_aggregate": "0.96",
    "mia_score": "0.91",
    "utility_share": "0.96",
    "worst_case": "0.07",
    "worst_case_retrained": "0.03",
    "leak": "1e-3",
}
"""A line that reaches every bar: 0.07 is 4 points above 0.03."""


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, "none"),
        ({"task_aggregate": "0.94"}, "task aggregate"),
        ({"mia_score": "0.89", "utility_share": "0.94"}, "MIA, utility"),
        ({"worst_case": "0.09"}, "recovery"),
    ],
)
def test_each_bar_is_named_that_the_mean_misses(changed: dict[str, str], missed: str) -> None:
    """A single line is its own mean."""
    assert study.bars_missed([{**MET, **changed}]) == missed


def test_a_bar_is_of_the_mean_over_seeds() -> None:
    """0.94 and 0.97 have a mean above 0.95."""
    assert study.bars_missed([{**MET, "task_aggregate": cell} for cell in ("0.94", "0.97")]) == "none"


def test_the_answer_is_of_the_methods_on_the_front() -> None:
    """b lasts better than a; c is worse than a in one respect and better in none; of parts nothing is said."""
    others = {"b": {"final": "0.5", "worst_case": "0.01"}, "c": {"leak": "2e-3"}}
    lines = [MET, *({**MET, "setting": name, **cells} for name, cells in others.items())]
    answer = study.answer([*lines, {**MET, "group": "parts", "setting": "d", "final": "1.0"}])
    assert answer.endswith("by final score: `a` 0.90 (bars missed: none), `b` 0.50 (bars missed: none).")
