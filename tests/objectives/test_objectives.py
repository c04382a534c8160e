"""What all objectives share, gradient difference and fine-tuning, worked out by hand."""

import math

import pytest
import torch

from tests.objectives.made import (
    LOG2,
    ascent,
    forget_rows,
    gradient,
    logits_of,
    retain_rows,
    rows_from,
    rows_with,
    step_loss,
)
from unlearning.config.objective_choices import AboveCeiling, Averaging, CeilingUnit, Divergence, Reduction
from unlearning.objectives.base import SetSize
from unlearning.objectives.finetune import Finetune
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.rows import Reference, ReferenceKind, Rows
from unlearning.objectives.wga import WGA

FORGET = [[0.5, 1.5], [2.0, 4.0, 3.0, 3.0, 3.0, 3.0]]
"""Rows of 2 and 6 tokens with mean losses 1 and 3."""
RETAIN = [[0.5], [1.5], [3.0, 5.0]]
"""Rows of 1, 1 and 2 tokens with mean losses 0.5, 1.5 and 4."""


def test_grad_diff_by_row() -> None:
    """-(1 + 3)/2 + 2 * (0.5 + 1.5 + 4)/3 = 2."""
    assert step_loss(GradDiff(retain_weight=2.0), FORGET, RETAIN) == pytest.approx(2.0)


def test_grad_diff_by_token() -> None:
    """-(1*2 + 3*6)/8 + (0.5 + 1.5 + 8)/4 = 0."""
    assert step_loss(GradDiff(reduction=Reduction.token), FORGET, RETAIN) == pytest.approx(0.0)


def test_grad_diff_over_the_whole_batch() -> None:
    """AILS-NTUA: (-(1 + 3) + 0.5 * 6) / 5 = -0.2."""
    objective = GradDiff(retain_weight=0.5, averaging=Averaging.whole_batch)
    assert step_loss(objective, FORGET, RETAIN) == pytest.approx(-0.2)


def test_grad_diff_over_the_tokens_of_the_whole_batch() -> None:
    """(-(2 + 18) + 10) / 12 = -5/6."""
    objective = GradDiff(reduction=Reduction.token, averaging=Averaging.whole_batch)
    assert step_loss(objective, FORGET, RETAIN) == pytest.approx(-5 / 6)


def test_forget_weight() -> None:
    """-0.25 * 2 + 2 = 1.5."""
    assert step_loss(GradDiff(forget_weight=0.25), FORGET, RETAIN) == pytest.approx(1.5)


def test_grad_ascent_and_finetune() -> None:
    """Each of them uses one set only."""
    ascending = GradDiff(retain_weight=0.0)
    assert step_loss(ascending, FORGET, RETAIN) == pytest.approx(-2.0)
    assert step_loss(Finetune(), FORGET, RETAIN) == pytest.approx(2.0)
    assert ascending.uses_forget
    assert not ascending.uses_retain
    assert Finetune().uses_retain
    assert not Finetune().uses_forget
    assert not GradDiff(forget_weight=0.0).uses_forget


def test_gradient_of_ascent() -> None:
    """The gradient of -CE, averaged over a row's tokens: (onehot - q) / 2 at each of two."""
    q = [[0.5, 0.25, 0.25], [0.1, 0.7, 0.2]]
    logits = logits_of(q)
    rows = rows_from(GradDiff(), logits, [0, 2], [0, 0])
    found = gradient(GradDiff().forget_terms(rows, None).sum(), logits)
    torch.testing.assert_close(found, ascent(torch.tensor(q, dtype=torch.float64), [0, 2]) / 2)


def test_kl_minimisation() -> None:
    """Its retain term is the divergence alone, which is zero where the model has not moved; it needs a reference."""
    objective = GradDiff(retain_weight=0.0, divergence_weight=1.0)
    assert objective.uses_retain
    assert objective.retain_reference is ReferenceKind.outputs
    assert GradDiff().retain_reference is ReferenceKind.none
    assert step_loss(objective, FORGET, RETAIN) == pytest.approx(-2.0)


def test_cross_entropy_and_divergence_add_up() -> None:
    """2 * log 4 + 3 * KL(p, q), KL = log(4/3) / 2 with p = (1/2, 1/2), q = (1/4, 3/4); the reported nats are log 4."""
    objective = GradDiff(retain_weight=2.0, divergence=Divergence.kl, divergence_weight=3.0)
    reference = Reference(outputs=logits_of([[0.5, 0.5]]).detach())
    values, nats = objective.retain_values_and_nats(logits_of([[0.25, 0.75]]), torch.tensor([0]), reference)
    four_thirds = 0.28768207245178096
    assert values.tolist() == pytest.approx([4 * LOG2 + 1.5 * four_thirds])
    assert nats.tolist() == pytest.approx([2 * LOG2])
    assert not nats.requires_grad


def test_weight_of_cross_entropy_leaves_the_reported_loss_alone() -> None:
    """With retain_weight = 0.5 the term is halved, the nats are not."""
    rows = retain_rows(GradDiff(retain_weight=0.5), RETAIN)
    assert rows.mean(rows.values).tolist() == pytest.approx([0.25, 0.75, 2.0])
    assert rows.mean(rows.nats).tolist() == pytest.approx([0.5, 1.5, 4.0])


def test_ceiling_stops_the_gradient() -> None:
    """A row above the ceiling keeps its value and pulls no more; one at the ceiling still does."""
    objective = GradDiff(forget_ceiling_nats=2.0)
    rows = rows_with([[1.0, 1.0], [1.0, 3.0], [1.0, 3.5]])
    terms = objective.bounded_forget_terms(rows, None)
    assert terms.tolist() == [-1.0, -2.0, -2.25]
    assert gradient(terms.sum(), rows.values).tolist() == [-0.5, -0.5, -0.5, -0.5, 0.0, 0.0]


def test_a_row_above_the_ceiling_turns() -> None:
    """Its gradient has the other sign, so that |CE - ceiling| falls on both sides, as flooding's does."""
    objective = GradDiff(forget_ceiling_nats=2.0, above_ceiling=AboveCeiling.turn)
    rows = rows_with([[1.0, 1.0], [1.0, 3.0], [1.0, 3.5]])
    terms = objective.bounded_forget_terms(rows, None)
    assert terms.tolist() == [-1.0, -2.0, -2.25]
    assert gradient(terms.sum(), rows.values).tolist() == [-0.5, -0.5, -0.5, -0.5, 0.5, 0.5]
    apart = rows.mean(rows.values)[[0, 2]].sub(2.0).abs()
    assert gradient(apart.sum(), rows.values).tolist() == [-0.5, -0.5, 0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize(("above", "pull"), [(AboveCeiling.stop, 0.0), (AboveCeiling.turn, 0.5)])
def test_a_ceiling_for_each_token(above: AboveCeiling, pull: float) -> None:
    """Tokens above the ceiling stop or turn, and those of the same row below it go on; values stay."""
    objective = GradDiff(forget_ceiling_nats=2.0, ceiling_unit=CeilingUnit.token, above_ceiling=above)
    rows = rows_with([[1.0, 2.0], [1.0, 3.0], [2.5, 3.5]])
    terms = objective.bounded_forget_terms(rows, None)
    assert terms.tolist() == [-1.5, -2.0, -3.0]
    assert gradient(terms.sum(), rows.values).tolist() == [-0.5, -0.5, -0.5, pull, pull, pull]


def test_a_ceiling_for_each_token_of_a_weighted_objective() -> None:
    """With beta = 1 a token's gradient is its weight, its probability, over two tokens: -e^-1 / 2; above it turns."""
    objective = WGA(beta=1.0, forget_ceiling_nats=2.0, ceiling_unit=CeilingUnit.token, above_ceiling=AboveCeiling.turn)
    rows = rows_with([[1.0, 3.0]])
    grown = gradient(objective.bounded_forget_terms(rows, None).sum(), rows.values)
    assert grown.tolist() == pytest.approx([-math.exp(-1.0) / 2, math.exp(-3.0) / 2])


def test_empty_sets_divide_nothing() -> None:
    """Denominators are at least one."""
    assert GradDiff().denominators(SetSize(0, 0), SetSize(3, 9)) == (1.0, 3.0)


def test_rows_in_any_order() -> None:
    """Sums and means go by owner; a row without positions has none of either."""
    owners = torch.tensor([2, 0, 2, 0, 2])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 8.0])
    rows = Rows(values, values, owners, 3, torch.tensor([2.0, 2.0, 2.0, 2.0, 2.0]))
    assert rows.sum(values).tolist() == [6.0, 0.0, 12.0]
    assert rows.mean(values).tolist() == [3.0, 0.0, 4.0]
    # log pi - log pi_ref = reference nats - nats: 4 - 6, 0, 6 - 12.
    assert rows.log_ratio().tolist() == [-2.0, 0.0, -6.0]


def test_a_ratio_needs_a_reference() -> None:
    """The log ratio of rows without a reference is an error."""
    with pytest.raises(ValueError, match="reference"):
        forget_rows(GradDiff(), FORGET).log_ratio()
