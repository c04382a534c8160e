"""Cross-entropy with the model's own distribution without the true token, worked out by hand."""

import pytest
import torch

from tests.objectives.made import LOG2, gradient, logits_of, rows_from
from unlearning.objectives.ce_u import CEU
from unlearning.objectives.rows import Reference, Rows

Q = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]
TARGETS = torch.tensor([0, 1])
"""The labels are (0, 1/2, 1/2) and (2/3, 0, 1/3)."""


def test_value() -> None:
    """-(log 1/4 + log 1/4) / 2 = 2 log 2, and 2/3 log 2 + 1/3 * 2 log 2 = 4/3 log 2."""
    assert CEU().forget_values(logits_of(Q), TARGETS, Reference()).tolist() == pytest.approx([2 * LOG2, 4 / 3 * LOG2])


def test_gradient_in_the_logits() -> None:
    """q_y at the true token, -q_j q_y / (1 - q_y) elsewhere: the labels are held fixed.

    (1/2, -1/4 * 1/2 / 1/2, the same) and (-1/2 * 1/4 / 3/4, 1/4, -1/4 * 1/4 / 3/4).
    """
    logits = logits_of(Q)
    found = gradient(CEU().forget_values(logits, TARGETS, Reference()).sum(), logits)
    assert found.tolist() == [pytest.approx([1 / 2, -1 / 4, -1 / 4]), pytest.approx([-1 / 6, 1 / 4, -1 / 12])]


def test_a_certain_token_pulls_most() -> None:
    """The gradient at a certain token is 1, where gradient ascent has none."""
    logits = torch.tensor([[40.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = gradient(CEU().forget_values(logits, torch.tensor([0]), Reference()).sum(), logits)
    assert found.tolist() == [pytest.approx([1.0, -0.5, -0.5])]


def test_a_forgotten_token_pulls_no_more() -> None:
    """At p = e^-40 no gradient is left."""
    logits = torch.tensor([[-40.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = gradient(CEU().forget_values(logits, torch.tensor([0]), Reference()).sum(), logits)
    assert found.tolist() == [pytest.approx([0.0, 0.0, 0.0], abs=1e-15)]


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [(0, [4.0, 7.0, 0.0, 3.0]), (1, [3.0, 7.0, 0.0, 4.0]), (2, [5.0, 7.0, 0.0, 4.0]), (9, [5.0, 7.0, 0.0, 4.0])],
)
def test_first_tokens_do_not_count(ignored: int, expected: list[float]) -> None:
    """The rows are (6, 1, 5), (7), none and (2, 4) in turns; the last token of each always counts."""
    values = torch.tensor([6.0, 2.0, 1.0, 7.0, 4.0, 5.0])
    rows = Rows(values, values, torch.tensor([0, 3, 0, 1, 3, 0]), 4)
    assert CEU(ignored_tokens=ignored).forget_terms(rows, None).tolist() == expected


def test_ignored_tokens_have_no_gradient() -> None:
    """In a row of three with the first ignored, each of the others has half of the weight."""
    logits = logits_of([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])
    rows = rows_from(CEU(ignored_tokens=1), logits, [0, 0, 0], [0, 0, 0])
    found = gradient(CEU(ignored_tokens=1).forget_terms(rows, None).sum(), logits)
    # With two tokens the gradient is (q_y, -q_y).
    assert found.tolist() == [[0.0, 0.0], pytest.approx([0.1, -0.1]), pytest.approx([0.45, -0.45])]
