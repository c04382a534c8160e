"""-(2 / beta) log sigmoid(beta * CE - gamma), worked out by hand; and its limits."""

import math

import pytest
import torch

from tests.objectives.made import LOG2, ascent, gradient, logits_of, rows_from, rows_with
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.rows import ReferenceKind
from unlearning.objectives.simnpo import SimNPO


def test_value() -> None:
    """CE = (1 + 3) / 2 and 0.5, beta = 2.5, gamma = 1: 0.8 log(1 + e^(1 - 5)) and 0.8 log(1 + e^(1 - 1.25))."""
    terms = SimNPO(beta=2.5, gamma=1.0).forget_terms(rows_with([[1.0, 3.0], [0.5]]), None)
    assert terms.tolist() == pytest.approx([0.8 * math.log(1 + math.exp(-4)), 0.8 * math.log(1 + math.exp(-0.25))])


def test_a_certain_answer() -> None:
    """CE = 0 without a margin: (2 / beta) log 2."""
    assert SimNPO(beta=4.0).forget_terms(rows_with([[0.0, 0.0]]), None).tolist() == pytest.approx([LOG2 / 2])


def test_length_does_not_matter() -> None:
    """An answer said twice has the same term."""
    once, twice = SimNPO().forget_terms(rows_with([[0.3, 0.9], [0.3, 0.9, 0.3, 0.9]]), None).tolist()
    assert once == pytest.approx(twice)


def test_gradient_in_the_logits() -> None:
    """(onehot - q) / tokens times 2 sigmoid(gamma - beta CE); CE = log 2, beta = 2, gamma = 0: 2 / (1 + 4) = 0.4."""
    q = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]
    logits, targets = logits_of(q), [0, 1]
    rows = rows_from(SimNPO(beta=2.0), logits, targets, [0, 0])
    found = gradient(SimNPO(beta=2.0).forget_terms(rows, None).sum(), logits)
    torch.testing.assert_close(found, 0.4 / 2 * ascent(torch.tensor(q).double(), targets))


def test_tends_to_gradient_ascent() -> None:
    """It tends to gradient ascent as beta tends to 0, without a margin."""
    logits, targets, owners = logits_of([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), [0, 0, 1], [0, 0, 1]
    objective = SimNPO(beta=1e-9)
    found = gradient(objective.forget_terms(rows_from(objective, logits, targets, owners), None).sum(), logits)
    means = gradient(GradDiff().forget_terms(rows_from(GradDiff(), logits, targets, owners), None).sum(), logits)
    torch.testing.assert_close(found, means)


def test_no_reference() -> None:
    """Nothing of the model before unlearning is asked for."""
    assert SimNPO().forget_reference is ReferenceKind.none
    assert SimNPO(forget_weight=0.125).weights(None, True) == (0.125, 1.0)
