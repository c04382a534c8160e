"""Objectives with one fixed weight on the forget term."""

import pytest

from tests.objectives.made import step_loss
from unlearning.objectives.relabel import Relabel
from unlearning.objectives.weighted import Weighted


def test_weight_of_the_forget_term() -> None:
    """0.25 * 2 + 4 = 4.5."""
    assert step_loss(Relabel(forget_weight=0.25), [[2.0]], [[4.0]]) == pytest.approx(4.5)


@pytest.mark.parametrize(("weight", "used"), [(0.0, False), (0.25, True)])
def test_rows_without_weight_are_not_used(weight: float, used: bool) -> None:
    """Such rows need not be run."""
    objective: Weighted = Relabel(forget_weight=weight)
    assert objective.uses_forget is used
