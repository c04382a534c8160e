"""(2 / beta) log(1 + ratio ** beta), worked out by hand; and its limits."""

import math

import pytest
import torch

from tests.objectives.made import LOG2, ascent, gradient, logits_of, rows_from, rows_with
from unlearning.config.objective_choices import RatioUnit
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.npo import NPO
from unlearning.objectives.rows import ReferenceKind

NOW, BEFORE = [[1.0, 3.0]], [[0.5, 0.5]]
"""One answer of two tokens: log ratios -0.5 and -2.5, -3 for the answer, -1.5 on average."""


def test_value_of_a_whole_answer() -> None:
    """beta = 0.1: 20 log(1 + e^-0.3)."""
    terms = NPO(beta=0.1).forget_terms(rows_with(NOW, BEFORE), None)
    assert terms.tolist() == pytest.approx([20 * math.log(1 + math.exp(-0.3))])


def test_value_of_the_mean() -> None:
    """beta = 0.1: 20 log(1 + e^-0.15)."""
    terms = NPO(beta=0.1, unit=RatioUnit.mean).forget_terms(rows_with(NOW, BEFORE), None)
    assert terms.tolist() == pytest.approx([20 * math.log(1 + math.exp(-0.15))])


def test_value_by_token() -> None:
    """beta = 0.5: the mean of 4 log(1 + e^-0.25) and 4 log(1 + e^-1.25)."""
    terms = NPO(beta=0.5, unit=RatioUnit.token).forget_terms(rows_with(NOW, BEFORE), None)
    assert terms.tolist() == pytest.approx([2 * math.log(1 + math.exp(-0.25)) + 2 * math.log(1 + math.exp(-1.25))])


@pytest.mark.parametrize("unit", list(RatioUnit))
def test_before_the_first_step(unit: RatioUnit) -> None:
    """(2 / beta) log 2, whatever the answers' lengths."""
    nats = [[1.0, 3.0], [0.25]]
    terms = NPO(beta=0.1, unit=unit).forget_terms(rows_with(nats, nats), None)
    assert terms.tolist() == pytest.approx([20 * LOG2, 20 * LOG2])


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("unit", "pull"),
    [
        # Of the value in each token's cross-entropy: -2 sigmoid(beta * log ratio), averaged where the unit says so.
        # The log ratios are log(1/4 / 1/2) = -log 2 and log(1/2 / 1/4) = log 2; of the answer 0.
        (RatioUnit.answer, [2 * sigmoid(0.0), 2 * sigmoid(0.0)]),
        (RatioUnit.mean, [sigmoid(0.0), sigmoid(0.0)]),
        (RatioUnit.token, [sigmoid(-2 * LOG2), sigmoid(2 * LOG2)]),
    ],
)
def test_gradient_in_the_logits(unit: RatioUnit, pull: list[float]) -> None:
    """It is that of -CE, onehot - q, times 2 s / (1 + s), s = ratio ** beta with beta = 2."""
    q = [[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
    logits, targets = logits_of(q), [0, 2]
    before = torch.tensor([LOG2, 2 * LOG2], dtype=torch.float64)
    objective = NPO(beta=2.0, unit=unit)
    rows = rows_from(objective, logits, targets, [0, 0], reference_nats=before)
    expected = torch.tensor(pull, dtype=torch.float64).unsqueeze(-1) * ascent(torch.tensor(q).double(), targets)
    torch.testing.assert_close(gradient(objective.forget_terms(rows, None).sum(), logits), expected)


@pytest.mark.parametrize("unit", list(RatioUnit))
def test_tends_to_gradient_ascent(unit: RatioUnit) -> None:
    """As beta tends to 0 the gradient is that of -CE: of its sum over an answer, or of its mean."""
    logits, targets, owners = logits_of([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]), [0, 0, 1], [0, 0, 1]
    before = torch.tensor([1.0, 0.1, 2.0], dtype=torch.float64)
    objective = NPO(beta=1e-9, unit=unit)
    rows = rows_from(objective, logits, targets, owners, reference_nats=before)
    found = gradient(objective.forget_terms(rows, None).sum(), logits)
    means = gradient(GradDiff().forget_terms(rows_from(GradDiff(), logits, targets, owners), None).sum(), logits)
    lengths = torch.tensor([[2.0], [2.0], [1.0]]) if unit is RatioUnit.answer else 1.0
    torch.testing.assert_close(found, means * lengths)


def test_a_forgotten_answer_pulls_no_more() -> None:
    """An answer that has lost 400 nats has nearly no gradient, where gradient ascent still has one."""
    rows = rows_with([[200.0, 200.0]], [[0.0, 0.0]])
    found = gradient(NPO(beta=0.1).forget_terms(rows, None).sum(), rows.values)
    assert found.tolist() == pytest.approx([0.0, 0.0], abs=1e-15)


def test_an_answer_made_certain_is_finite() -> None:
    """Values and gradients of extreme ratios are numbers: 2 * ratio and -2 where the answer is far likelier."""
    rows = rows_with([[0.0]], [[1e5]])
    terms = NPO(beta=1.0).forget_terms(rows, None)
    assert terms.tolist() == [2e5]
    assert gradient(terms.sum(), rows.values).tolist() == [-2.0]


def test_what_it_asks_for() -> None:
    """It asks for the reference's cross-entropies, and says so where they are missing."""
    assert NPO().forget_reference is ReferenceKind.nats
    for unit in RatioUnit:
        with pytest.raises(ValueError, match="reference"):
            NPO(unit=unit).forget_terms(rows_with(NOW), None)
    assert NPO(forget_weight=0.4).weights(None, True) == (0.4, 1.0)
