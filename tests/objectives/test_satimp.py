"""-p ** beta1 * (1 - p) ** beta2 * CE, worked out by hand."""

import pytest
import torch

from tests.objectives.made import LOG2, ascent, gradient, logits_of, rows_from
from unlearning.objectives.base import Objective
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.satimp import SatImp
from unlearning.objectives.wga import WGA

Q = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]
TARGETS = [0, 1]
"""Of probabilities 1/2 and 1/4: cross-entropies log 2 and 2 log 2."""


@pytest.mark.parametrize(
    ("beta1", "beta2", "expected"),
    [
        (2.0, 1.0, -0.109375 * LOG2),  # (1/4 * 1/2 * 1 + 1/16 * 3/4 * 2) / 2
        (1.0, 2.0, -0.203125 * LOG2),  # (1/2 * 1/4 * 1 + 1/4 * 9/16 * 2) / 2
        (0.0, 1.0, -1.0 * LOG2),  # (1/2 * 1 + 3/4 * 2) / 2
    ],
)
def test_value(beta1: float, beta2: float, expected: float) -> None:
    """It is the mean of two weighted tokens."""
    objective = SatImp(beta1=beta1, beta2=beta2)
    terms = objective.forget_terms(rows_from(objective, logits_of(Q), TARGETS, [0, 0]), None)
    assert terms.tolist() == pytest.approx([expected])


def test_gradient_in_the_logits() -> None:
    """p^2 (1 - p) (onehot - q) / 2: the weights, 1/8 and 3/64, are held fixed."""
    objective, logits = SatImp(beta1=2.0, beta2=1.0), logits_of(Q)
    weights = torch.tensor([[1 / 8], [3 / 64]], dtype=torch.float64)
    found = gradient(objective.forget_terms(rows_from(objective, logits, TARGETS, [0, 0]), None).sum(), logits)
    torch.testing.assert_close(found, weights * ascent(torch.tensor(Q).double(), TARGETS) / 2)


@pytest.mark.parametrize(
    ("objective", "same"),
    [(SatImp(beta1=3.0, beta2=0.0), WGA(beta=3.0)), (SatImp(beta1=0.0, beta2=0.0), GradDiff())],
)
def test_limits(objective: Objective, same: Objective) -> None:
    """Without the second factor it is WGA, without both gradient ascent."""
    logits, owners = logits_of([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), [0, 0, 1]
    one, other = (of.forget_terms(rows_from(of, logits, [0, 0, 1], owners), None) for of in (objective, same))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(gradient(one.sum(), logits), gradient(other.sum(), logits))


def test_certain_and_impossible_tokens() -> None:
    """At p = 1 and p = e^-200 values and gradients are zero."""
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    rows = rows_from(SatImp(), logits, [0, 0], [0, 1])
    terms = SatImp().forget_terms(rows, None)
    assert terms.tolist() == [0.0, 0.0]
    assert gradient(terms.sum(), logits).tolist() == [[0.0, 0.0], [0.0, 0.0]]
