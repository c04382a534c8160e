"""Losses and weights, worked out by hand."""

import math

import pytest
import torch

from unlearning.config import Averaging, Reduction
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective, SetSize
from unlearning.objectives.finetune import Finetune
from unlearning.objectives.grad_ascent import GradAscent
from unlearning.objectives.grad_diff import GradDiff


def step_loss(objective: Objective, forget: list[tuple[float, int]], retain: list[tuple[float, int]]) -> float:
    """The loss of the docstring's formula, from (row loss, tokens) pairs."""
    sizes = [SetSize(len(rows), sum(tokens for _, tokens in rows)) for rows in (forget, retain)]
    by_forget, by_retain = objective.denominators(*sizes)
    weights = objective.weights(None, True)
    total = 0.0
    for rows, weight, by, terms in (
        (forget, weights[0], by_forget, objective.forget_terms),
        (retain, weights[1], by_retain, objective.retain_terms),
    ):
        nats = torch.tensor([loss for loss, _ in rows])
        units = objective.row_units(torch.tensor([float(tokens) for _, tokens in rows]))
        total += weight / by * float((units * terms(nats)).sum())
    return total


FORGET = [(1.0, 2), (3.0, 6)]
RETAIN = [(0.5, 1), (1.5, 1), (4.0, 2)]


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


def test_grad_ascent_and_finetune() -> None:
    """Only one set counts in each."""
    assert step_loss(GradAscent(), FORGET, RETAIN) == pytest.approx(-2.0)
    assert step_loss(Finetune(), FORGET, RETAIN) == pytest.approx(2.0)
    assert not GradAscent().uses_retain
    assert not Finetune().uses_forget


def test_ceiling_stops_value_and_gradient() -> None:
    """A row above the ceiling counts as the ceiling and pulls no more."""
    nats = torch.tensor([1.0, 3.0], requires_grad=True)
    terms = GradDiff(forget_ceiling_nats=2.0).forget_terms(nats)
    assert terms.tolist() == [-1.0, -2.0]
    terms.sum().backward()
    assert nats.grad is not None
    assert nats.grad.tolist() == [-1.0, 0.0]


def test_empty_sets_divide_nothing() -> None:
    """Denominators are at least one."""
    assert GradDiff().denominators(SetSize(0, 0), SetSize(3, 9)) == (1.0, 3.0)


class TestAdaptiveWeight:
    """alpha = clip(0.3 * 6^dL + 0.8, 1.2, 2.8) against the first epoch's mean."""

    def objective(self) -> AdaptiveGradDiff:
        """With a reference of (0.2 + 0.4) / 2 = 0.3."""
        objective = AdaptiveGradDiff()
        for loss in (0.2, 0.4):
            assert objective.weights(loss, True) == (1.0, 1.2)
            objective.observe(loss, True)
        return objective

    @pytest.mark.parametrize(
        ("loss", "alpha"),
        [
            (0.1, 1.2),
            (0.3, 1.2),
            (0.4, 1.2),
            (0.3 + 0.5, 0.3 * math.sqrt(6) + 0.8),
            (1.3, 0.3 * 6 + 0.8),
            (2.3, 2.8),
            (1e9, 2.8),
        ],
    )
    def test_later_epochs(self, loss: float, alpha: float) -> None:
        """Below, at and above the reference, up to both ends of the clip."""
        assert self.objective().weights(loss, False) == (1.0, pytest.approx(alpha))

    def test_later_losses_do_not_move_the_reference(self) -> None:
        """Only the first epoch counts."""
        objective = self.objective()
        objective.observe(50.0, False)
        assert objective.weights(1.3, False)[1] == pytest.approx(2.6)

    def test_steps_without_retain_rows(self) -> None:
        """They neither count nor need a weight."""
        objective = self.objective()
        objective.observe(None, True)
        assert objective.weights(None, False) == (1.0, 1.2)
        assert objective.weights(1.3, False)[1] == pytest.approx(2.6)

    def test_state_survives(self) -> None:
        """A resumed objective has the same reference."""
        resumed = AdaptiveGradDiff()
        resumed.load_state(self.objective().state())
        assert resumed.weights(0.8, False) == self.objective().weights(0.8, False)
