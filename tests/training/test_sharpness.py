"""Sharpness-aware minimisation: the point uphill by hand, and steps against a plain restatement in double precision."""

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.reference.in_double import InDouble
from tests.reference.plain_training import PlainTrainer, Tokens, row_means
from tests.training.golden import FORGET, LENGTHS, LR, RETAIN, curve, plain, scoped, trained
from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.config.scope import ModuleKind
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective
from unlearning.objectives.pdu import PDU
from unlearning.objectives.simnpo import SimNPO
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.layers import LayersScope
from unlearning.training.gradients import moved_uphill

RADIUS = 0.5
Part = tuple[list[Tokens], list[Tokens]]
"""The forget and the retain rows of a part of a step."""


def test_the_point_uphill_by_hand() -> None:
    """Gradients 3 and 4 have length 5: with radius 0.5 the weights move by 0.3 and 0.4; then they are back bitwise."""
    weights = [nn.Parameter(torch.tensor([0.1])), nn.Parameter(torch.tensor([-7.7])), nn.Parameter(torch.tensor([5.0]))]
    before = [weight.detach().clone() for weight in weights]
    for weight, gradient in zip(weights[:2], (3.0, 4.0), strict=True):
        weight.grad = torch.tensor([gradient])
    with moved_uphill(weights, 0.5):
        assert [weight.item() for weight in weights] == pytest.approx([0.4, -7.3, 5.0])
        assert [weight.grad for weight in weights] == [None, None, None]
        weights[0].grad = torch.tensor([9.0])
    assert all(map(torch.equal, weights, before))
    assert weights[0].grad == 9.0
    for gradient in (None, torch.zeros(1)):
        weights[0].grad = gradient
        with moved_uphill(weights, 0.5):
            assert all(map(torch.equal, weights, before))


def sharp_step(model: PreTrainedModel, parts: Sequence[Part], trainer: PlainTrainer) -> float:
    """Make one step, restated with whole gradients, and return its loss before it.

    The forget term is SimNPO's, 2 / 4.5 log(1 + e^(-4.5 CE)); the losses of the parts are averaged.
    """

    def forget_loss() -> Tensor:
        means = [row_means(model, own, "left") for own, _ in parts]
        return torch.stack([2 / 4.5 * nn.functional.softplus(-4.5 * nats).mean() for nats in means]).mean()

    weights = trainer.parameters
    retain = torch.stack([row_means(model, other, "left").mean() for _, other in parts]).mean()
    loss = forget_loss()
    of_retain, uphill = torch.autograd.grad(retain, weights), torch.autograd.grad(loss, weights)
    length = torch.cat([part.flatten() for part in uphill]).norm()
    start = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, part in zip(weights, uphill, strict=True):
            weight += RADIUS * part / length
    of_forget = torch.autograd.grad(forget_loss(), weights)
    for weight, value, first, second in zip(weights, start, of_forget, of_retain, strict=True):
        weight.data.copy_(value)
        weight.grad = first + second
    trainer.step()
    return float(loss + retain)


def test_steps_are_those_of_the_restatement(tmp_path: Path) -> None:
    """Two parts a step; the forget gradient is that uphill, the retain gradient that at the weights."""
    with InDouble():
        ours, theirs = scoped(LayersScope("1", [ModuleKind.mlp]), "olmo")
        plan = MixedSchedule(epochs=5, batch_rows=4, accumulate=2).plan(*LENGTHS, 1, seed=2)[:6]
        assert all(len(step.parts) == 2 for step in plan)
        trained(
            tmp_path, ours, SimNPO(), plan, optimizer=OptimizerConfig(lr=LR, decay=Decay.constant), sam_radius=RADIUS
        )
        trainer = PlainTrainer(theirs, LR, 10**9)
        losses = [sharp_step(theirs, parts_of(step), trainer) for step in plan]
    assert curve(tmp_path, "loss") == pytest.approx(losses, rel=1e-9)
    for parameter, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, atol=1e-9, rtol=1e-9)


def parts_of(step: PlanStep) -> list[Part]:
    """Return the forget and the retain rows of each part of a step."""
    forget, retain = plain([FORGET[row] for row in step.forget]), plain([RETAIN[row] for row in step.retain])
    parts = []
    for first, second in step.parts:
        parts.append((forget[:first], retain[:second]))
        forget, retain = forget[first:], retain[second:]
    return parts


@pytest.mark.by_default("adaptive")
@pytest.mark.parametrize(
    "objective", [PDU(dual_start=1.0, dual_warmup_epochs=0), AdaptiveGradDiff()], ids=["PDU", "adaptive"]
)
def test_a_radius_of_nearly_nothing_changes_nothing(tmp_path: Path, objective: Objective) -> None:
    """Objectives whose weights change from part to part take the same steps as without it."""
    plan = MixedSchedule(epochs=1, batch_rows=4, accumulate=2).plan(*LENGTHS, None, seed=0)[:3]
    found = []
    for radius in (0.0, 1e-12):
        folder = tmp_path / str(radius)
        folder.mkdir()
        with InDouble():
            model, _ = scoped(LayersScope("1", [ModuleKind.mlp]), "olmo")
            trained(folder, model, copy.deepcopy(objective), plan, sam_radius=radius)
        found.append((curve(folder, "loss"), curve(folder, "retain_weight"), [*model.parameters()]))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-9)
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-9)
    for plainly, sharply in zip(found[0][2], found[1][2], strict=True):
        torch.testing.assert_close(plainly, sharply, atol=1e-9, rtol=1e-9)
