"""-log sigmoid(beta * (refusal's log ratio - own log ratio)), worked out by hand."""

import math

import pytest
import torch

from tests.objectives.made import LOG2, ascent, logits_of, rows_from, rows_with
from unlearning.config.objective_choices import Answers
from unlearning.objectives.dpo import DPO
from unlearning.objectives.rows import ReferenceKind

OWN = rows_with([[1.0, 2.0], [0.5]], [[0.5, 1.5], [0.5]])
"""Log ratios -1 and 0."""
REFUSALS = rows_with([[1.0], [2.0, 2.0]], [[3.0], [1.0, 2.0]])
"""Log ratios 2 and -1."""


def test_value() -> None:
    """beta = 0.1: log(1 + e^-0.3), and log(1 + e^0.1) where the refusal has become less likely."""
    terms = DPO(beta=0.1).forget_terms(OWN, REFUSALS)
    assert terms.tolist() == pytest.approx([math.log(1 + math.exp(-0.3)), math.log(1 + math.exp(0.1))])


def test_before_the_first_step() -> None:
    """log 2, as published; (2 / beta) log 2 with the forget weight that other code has in it."""
    own, refusal = rows_with([[1.0, 2.0]], [[1.0, 2.0]]), rows_with([[7.0]], [[7.0]])
    objective = DPO(beta=0.1, forget_weight=20.0)
    terms = objective.forget_terms(own, refusal)
    assert terms.tolist() == pytest.approx([LOG2])
    assert objective.weights(None, True)[0] * terms.item() == pytest.approx(2 / 0.1 * LOG2)


def test_gradient_in_the_logits() -> None:
    """The refusal's CE falls and the own one's rises, each by beta sigmoid(-beta * margin).

    beta = 2; own answer at 1/4, before at 1/2: log ratio -log 2; refusal at 1/2, before at 1/2: 0. The margin is
    log 2, and 2 sigmoid(-2 log 2) = 2 / (1 + 4) = 0.4.
    """
    own_q, refusal_q = [[0.25, 0.75]], [[0.5, 0.5]]
    own_logits, refusal_logits = logits_of(own_q), logits_of(refusal_q)
    before = torch.tensor([LOG2], dtype=torch.float64)
    own = rows_from(DPO(), own_logits, [0], [0], reference_nats=before)
    refusal = rows_from(DPO(), refusal_logits, [1], [0], reference_nats=before)
    loss = DPO(beta=2.0).forget_terms(own, refusal).sum()
    away, towards = torch.autograd.grad(loss, [own_logits, refusal_logits])
    torch.testing.assert_close(away, 0.4 * ascent(torch.tensor(own_q).double(), [0]))
    torch.testing.assert_close(towards, -0.4 * ascent(torch.tensor(refusal_q).double(), [1]))


def test_only_the_margin_counts() -> None:
    """Nothing changes where both answers become a thousand times less likely."""
    lower = [rows_with([[1.0 + 7, 2.0]], [[0.5, 1.5]]), rows_with([[1.0 + 7]], [[3.0]])]
    assert DPO().forget_terms(*lower).tolist() == pytest.approx(DPO().forget_terms(OWN, REFUSALS)[:1].tolist())


def test_what_it_asks_for() -> None:
    """It asks for both answers, and for the reference's cross-entropies of both."""
    assert DPO().forget_answers is Answers.own_and_refusal
    assert DPO(answers=Answers.own_and_other).forget_answers is Answers.own_and_other
    assert DPO().forget_reference is ReferenceKind.nats
    with pytest.raises(ValueError, match="another answer"):
        DPO().forget_terms(OWN, None)
    with pytest.raises(ValueError, match="reference"):
        DPO().forget_terms(OWN, rows_with([[1.0], [2.0]]))


def test_gradient_of_both_values() -> None:
    """beta sigmoid(-beta * margin) for each of the refusal's tokens, its negative for the own; margins 3 and -1."""
    terms = DPO(beta=0.1).forget_terms(OWN, REFUSALS)
    first, second = 0.1 / (1 + math.exp(0.3)), 0.1 / (1 + math.exp(-0.1))
    away, towards = torch.autograd.grad(terms.sum(), [OWN.values, REFUSALS.values])
    assert away.tolist() == pytest.approx([-first, -first, -second])
    assert towards.tolist() == pytest.approx([first, second, second])
