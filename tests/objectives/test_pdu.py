"""Logit margins and the dual variable, worked out by hand."""

import pytest
import torch

from tests.objectives.made import LOG2, gradient, logits_of, rows_from
from unlearning.objectives.pdu import PDU
from unlearning.objectives.rows import Reference


def test_value_and_gradient() -> None:
    """(3, 0, 0): max 3, mean 1, value 4; 2 * (3 - 1) * (1 - 1/3, -1/3, -1/3) = (8/3, -4/3, -4/3)."""
    logits = torch.tensor([[3.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = PDU().forget_values(logits, torch.tensor([1]), Reference())
    assert found.tolist() == [4.0]
    assert gradient(found.sum(), logits).tolist() == [pytest.approx([8 / 3, -4 / 3, -4 / 3])]


def test_flat_logits() -> None:
    """Nothing is left to flatten, whatever their common value."""
    logits = torch.full((1, 5), 7.0, requires_grad=True)
    found = PDU().forget_values(logits, torch.tensor([0]), Reference())
    assert found.tolist() == [0.0]
    assert gradient(found.sum(), logits).abs().max() == 0


def test_mean_over_a_row() -> None:
    """Logits (0, 2) and (0, 4): margins 1 and 2, (1 + 4) / 2; what is reported stays the cross-entropy."""
    logits = torch.tensor([[0.0, 2.0], [0.0, 4.0]], requires_grad=True)
    rows = rows_from(PDU(), logits, [1, 1], [0, 0])
    assert PDU().forget_terms(rows, None).tolist() == [2.5]
    assert rows_from(PDU(), logits_of([[0.5, 0.5]]), [0], [0]).nats.tolist() == pytest.approx([LOG2])


def dual_after(objective: PDU, losses: list[float | None], in_first_epoch: bool) -> list[float]:
    """Return the retain weight of each part and, at the end, that of the next."""
    seen = []
    for loss in losses:
        seen.append(objective.weights(None, in_first_epoch)[1])
        objective.observe(loss, 4, in_first_epoch)
    return [*seen, objective.weights(None, in_first_epoch)[1]]


def test_dual_variable() -> None:
    """Start 2, step 5, bound 0.3: 0.5 adds 1, 0.1 takes 1, 0.3 nothing; never below 0; a part uses what was before."""
    objective = PDU(dual_start=2.0, dual_step_size=5.0, dual_warmup_epochs=0, retain_loss_eps=0.3)
    losses = [0.5, 0.1, 0.3, 0.0, None, 0.0, 0.5, 2.3]
    expected = [2.0, 3.0, 2.0, 2.0, 0.5, 0.5, 0.0, 1.0, 11.0]
    assert dual_after(objective, losses, True) == pytest.approx(expected)


def test_warm_up() -> None:
    """Two epochs of three parts each, one without retain rows: the first move is after the seventh part."""
    objective = PDU(dual_start=2.0, dual_step_size=5.0, dual_warmup_epochs=2, retain_loss_eps=0.3)
    assert dual_after(objective, [0.5, None, 0.5], True) == [2.0] * 4
    assert dual_after(objective, [0.5, 0.5, 0.5], False) == [2.0] * 4
    assert dual_after(objective, [0.5, 0.5], False) == pytest.approx([2.0, 3.0, 4.0])


@pytest.mark.parametrize("parts", range(1, 9))
def test_state_survives(parts: int) -> None:
    """Interrupted after any part of three epochs, the weights go on as if it had not been."""
    losses, first = [0.5, 0.9, 0.1, 0.2, 0.7, 0.0, 0.4, 0.6, 0.8], 3
    whole, stopped, resumed = (PDU(dual_start=1.0, dual_warmup_epochs=1) for _ in range(3))
    for index, loss in enumerate(losses):
        whole.observe(loss, 4, index < first)
        if index == parts:
            resumed.load_state(stopped.state())
        (stopped if index < parts else resumed).observe(loss, 4, index < first)
    assert resumed.weights(None, False) == whole.weights(None, False)
    assert resumed.state() == whole.state()
    assert whole.weights(None, False)[1] != 1.0


def test_forget_weight() -> None:
    """The forget term has a weight of its own."""
    assert PDU(forget_weight=0.5).weights(None, True) == (0.5, 100.0)
    assert PDU().uses_retain
