"""-log(1 - p), worked out by hand; its gradient beside that of ascent."""

import math

import pytest
import torch

from tests.objectives.made import ascent, gradient, logits_of, rows_from
from unlearning.objectives.unlikelihood import Unlikelihood

Q = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]
TARGETS = [0, 1]
"""Of probabilities 1/2 and 1/4."""


def test_value() -> None:
    """It is the mean of log 2 and log 4/3; the reported cross-entropies stay log 2 and log 4."""
    rows = rows_from(Unlikelihood(), logits_of(Q), TARGETS, [0, 0])
    terms = Unlikelihood().forget_terms(rows, None)
    assert terms.tolist() == pytest.approx([(math.log(2) + math.log(4 / 3)) / 2])
    assert rows.nats.tolist() == pytest.approx([math.log(2), math.log(4)])


def test_gradient_in_the_logits() -> None:
    """It is that of ascent, onehot - q, times p / (1 - p): 1 and 1/3, over two tokens."""
    logits = logits_of(Q)
    rows = rows_from(Unlikelihood(), logits, TARGETS, [0, 0])
    found = gradient(Unlikelihood().forget_terms(rows, None).sum(), logits)
    odds = torch.tensor([[1.0], [1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(found, odds * ascent(torch.tensor(Q).double(), TARGETS) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_certain_token_is_pushed(dtype: torch.dtype) -> None:
    """Where p is 1 in floating point, the value is the lead of the logit, log(e^40 + 2) - log 2, and the pull is 1."""
    logits = torch.tensor([[40.0, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    rows = rows_from(Unlikelihood(), logits, [0], [0])
    terms = Unlikelihood().forget_terms(rows, None)
    assert terms.tolist() == pytest.approx([40.0 - math.log(2)])
    assert gradient(terms.sum(), logits).tolist() == [pytest.approx([1.0, -0.5, -0.5])]


def test_a_forgotten_token_pulls_no_more() -> None:
    """At p = e^-50 the gradient is nothing, where ascent's would be 1."""
    logits = torch.tensor([[0.0, 50.0]], dtype=torch.float64, requires_grad=True)
    rows = rows_from(Unlikelihood(), logits, [0], [0])
    assert gradient(Unlikelihood().forget_terms(rows, None).sum(), logits).tolist() == [
        pytest.approx([0.0, 0.0], abs=1e-20)
    ]
