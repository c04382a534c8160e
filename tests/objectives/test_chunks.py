"""The values of some tokens are those of all tokens, cut: training computes them a chunk at a time."""

import pytest
import torch

from unlearning.config.objective_choices import Divergence, RatioUnit
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective
from unlearning.objectives.ce_u import CEU
from unlearning.objectives.dpo import DPO
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.npo import NPO
from unlearning.objectives.pdu import PDU
from unlearning.objectives.relabel import Relabel
from unlearning.objectives.rmu import RMU
from unlearning.objectives.rows import Reference
from unlearning.objectives.satimp import SatImp
from unlearning.objectives.simnpo import SimNPO
from unlearning.objectives.undial import UnDIAL
from unlearning.objectives.wga import WGA

OBJECTIVES: list[Objective] = [
    GradDiff(),
    AdaptiveGradDiff(),
    NPO(unit=RatioUnit.token),
    SimNPO(),
    DPO(),
    Relabel(),
    UnDIAL(),
    WGA(),
    SatImp(),
    CEU(),
    PDU(),
    RMU(),
    RMU(adaptive=True),
    *(GradDiff(divergence=kind, divergence_weight=0.5) for kind in Divergence),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
@pytest.mark.parametrize("size", [1, 3, 4])
def test_chunks_make_the_whole(objective: Objective, size: int) -> None:
    """Values, cross-entropies and gradients are the same in chunks, on forget and on retain rows."""
    drawn = torch.Generator().manual_seed(0)
    outputs = torch.randn(7, 5, generator=drawn, dtype=torch.float64, requires_grad=True)
    before = torch.randn(7, 5, generator=drawn, dtype=torch.float64)
    targets = torch.randint(5, (7,), generator=drawn)
    for values_and_nats in (objective.forget_values_and_nats, objective.retain_values_and_nats):
        whole, whole_nats = values_and_nats(outputs, targets, Reference(outputs=before))
        parts = [slice(start, start + size) for start in range(0, 7, size)]
        pairs = [values_and_nats(outputs[part], targets[part], Reference(outputs=before[part])) for part in parts]
        cut, cut_nats = (torch.cat(found) for found in zip(*pairs, strict=True))
        torch.testing.assert_close(cut, whole)
        torch.testing.assert_close(cut_nats, whole_nats)
        slopes = [torch.autograd.grad(values.square().sum(), outputs)[0] for values in (cut, whole)]
        torch.testing.assert_close(*slopes)
        assert not cut_nats.requires_grad


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
def test_a_value_is_its_own_positions(objective: Objective) -> None:
    """A change of one token's outputs changes no other value."""
    drawn = torch.Generator().manual_seed(1)
    outputs, before = torch.randn(2, 4, 5, generator=drawn, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 3])
    other = outputs.clone()
    other[2] += torch.randn(5, generator=drawn, dtype=torch.float64)
    for values in (objective.forget_values, objective.retain_values):
        one, two = (values(given, targets, Reference(outputs=before)) for given in (outputs, other))
        assert (one != two).tolist() == [False, False, True, False]
