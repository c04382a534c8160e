"""-p ** beta * CE, worked out by hand; without a power it is gradient ascent."""

import pytest
import torch

from tests.objectives.made import LOG2, ascent, gradient, logits_of, rows_from
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.wga import WGA

Q = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]
TARGETS = [0, 1]
"""Of probabilities 1/2 and 1/4: cross-entropies log 2 and 2 log 2."""


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.0, -1.5 * LOG2),  # (1 * 1 + 1 * 2) / 2
        (1.0, -0.5 * LOG2),  # (1/2 * 1 + 1/4 * 2) / 2
        (2.0, -0.1875 * LOG2),  # (1/4 * 1 + 1/16 * 2) / 2
    ],
)
def test_value(beta: float, expected: float) -> None:
    """It is the mean of two weighted tokens."""
    rows = rows_from(WGA(beta=beta), logits_of(Q), TARGETS, [0, 0])
    assert WGA(beta=beta).forget_terms(rows, None).tolist() == pytest.approx([expected])


def test_gradient_in_the_logits() -> None:
    """p ** beta (onehot - q) / 2: the weights are held fixed."""
    logits = logits_of(Q)
    rows = rows_from(WGA(beta=2.0), logits, TARGETS, [0, 0])
    weights = torch.tensor([[1 / 4], [1 / 16]], dtype=torch.float64)
    found = gradient(WGA(beta=2.0).forget_terms(rows, None).sum(), logits)
    torch.testing.assert_close(found, weights * ascent(torch.tensor(Q).double(), TARGETS) / 2)


def test_no_power_is_gradient_ascent() -> None:
    """Values and gradients are the same, for rows of different lengths."""
    logits, owners = logits_of([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), [0, 0, 1]
    terms = [
        objective.forget_terms(rows_from(objective, logits, [0, 0, 1], owners), None)
        for objective in (WGA(beta=0.0), GradDiff())
    ]
    torch.testing.assert_close(terms[0], terms[1], rtol=0, atol=0)
    torch.testing.assert_close(gradient(terms[0].sum(), logits), gradient(terms[1].sum(), logits), rtol=0, atol=0)


def test_a_forgotten_token_pulls_no_more() -> None:
    """At p = e^-50 the gradient is nothing, where ascent's would be 1."""
    logits = torch.tensor([[0.0, 50.0]], dtype=torch.float64, requires_grad=True)
    found = gradient(WGA().forget_terms(rows_from(WGA(), logits, [0], [0]), None).sum(), logits)
    assert found.tolist() == [pytest.approx([0.0, 0.0], abs=1e-20)]
