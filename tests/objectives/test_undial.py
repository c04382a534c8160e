"""Cross-entropy with softmax(logits before - strength * onehot), worked out by hand."""

import pytest
import torch

from tests.objectives.made import LOG2, gradient, logits_of, rows_from
from unlearning.objectives.rows import Reference, ReferenceKind
from unlearning.objectives.undial import UnDIAL

BEFORE = [[0.5, 0.25, 0.25]]
OBJECTIVE = UnDIAL(strength=LOG2)
"""Halves the true token's share of BEFORE: the labels are (1/3, 1/3, 1/3)."""


def reference() -> Reference:
    """Return all logits of BEFORE."""
    return Reference(outputs=logits_of(BEFORE).detach())


def kept(k: int) -> Reference:
    """Return the k likeliest tokens of BEFORE alone."""
    top = torch.tensor(BEFORE, dtype=torch.float64).log().topk(k, dim=-1)
    return Reference(kept=(top.indices, top.values))


def test_value_and_gradient() -> None:
    """-(log 1/2 + 2 log 1/4) / 3 = 5/3 log 2 where the model has not moved; q - p = (1/6, -1/12, -1/12)."""
    logits = logits_of(BEFORE)
    rows = rows_from(OBJECTIVE, logits, [0], [0], reference())
    terms = OBJECTIVE.forget_terms(rows, None)
    assert terms.tolist() == pytest.approx([5 / 3 * LOG2])
    assert gradient(terms.sum(), logits).tolist() == [pytest.approx([1 / 6, -1 / 12, -1 / 12])]


def test_the_target_is_reached() -> None:
    """The gradient is zero at the labels, so that unlearning ends."""
    logits = logits_of([[1 / 3, 1 / 3, 1 / 3]])
    found = OBJECTIVE.forget_values(logits, torch.tensor([0]), reference())
    assert gradient(found.sum(), logits).tolist() == [pytest.approx([0.0, 0.0, 0.0])]


def test_without_strength_nothing_moves() -> None:
    """strength = 0: the labels are what the model said before, (1/2 + 2 * 2/4) log 2 of entropy and no gradient."""
    logits = logits_of(BEFORE)
    found = UnDIAL(strength=0.0).forget_values(logits, torch.tensor([0]), reference())
    assert found.tolist() == pytest.approx([1.5 * LOG2])
    assert gradient(found.sum(), logits).tolist() == [pytest.approx([0.0, 0.0, 0.0])]


def test_another_token_is_lowered() -> None:
    """Token 1 at 1/8 of 7/8: labels (4/7, 1/7, 2/7), value 4/7 log 2 + 3/7 * 2 log 2 = 10/7 log 2."""
    found = OBJECTIVE.forget_values(logits_of(BEFORE), torch.tensor([1]), reference())
    assert found.tolist() == pytest.approx([10 / 7 * LOG2])


def test_mean_over_tokens() -> None:
    """(5/3 + 10/7) / 2 log 2 for a row of both."""
    twice = Reference(outputs=logits_of(BEFORE * 2).detach())
    rows = rows_from(OBJECTIVE, logits_of(BEFORE * 2), [0, 1], [0, 0], twice)
    assert OBJECTIVE.forget_terms(rows, None).tolist() == pytest.approx([(5 / 3 + 10 / 7) / 2 * LOG2])
    # What is reported stays the cross-entropy.
    assert rows.nats.tolist() == pytest.approx([LOG2, 2 * LOG2])


def test_all_tokens_kept() -> None:
    """The values are those with all logits."""
    logits = logits_of([[0.2, 0.5, 0.3]])
    found, whole = (OBJECTIVE.forget_values(logits, torch.tensor([0]), given) for given in (kept(3), reference()))
    torch.testing.assert_close(found, whole)


def test_two_tokens_kept() -> None:
    """Labels (1/2, 1/2) on the two: -(log 1/2 + log 1/4) / 2 = 1.5 log 2."""
    found = OBJECTIVE.forget_values(logits_of(BEFORE), torch.tensor([0]), kept(2))
    assert found.tolist() == pytest.approx([1.5 * LOG2])


def test_true_token_not_kept() -> None:
    """Nothing is lowered then: labels (2/3, 1/3), value 2/3 log 2 + 1/3 * 2 log 2."""
    found = OBJECTIVE.forget_values(logits_of(BEFORE), torch.tensor([2]), kept(2))
    assert found.tolist() == pytest.approx([4 / 3 * LOG2])


def test_what_it_asks_for() -> None:
    """It asks for all logits of the reference, and says so where they are missing."""
    assert UnDIAL().forget_reference is ReferenceKind.outputs
    with pytest.raises(ValueError, match="reference"):
        UnDIAL().forget_values(logits_of(BEFORE), torch.tensor([0]), Reference())
