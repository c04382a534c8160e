"""SHA256's joint loss as its released code has it, for 20 steps against its plain restatement, in double precision."""

from pathlib import Path

import pytest

from tests.reference.in_double import InDouble
from tests.reference.plain_sha256 import joint_as_released
from tests.training.golden import LENGTHS, LR, STEPS, assert_same_run, curve, drawn, scoped, trained
from unlearning.config.objective import Averaging, Reduction, ReferenceLoss
from unlearning.config.scope import ModuleKind
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.layers import LayersScope

RELEASED = {
    "max_weight": 2.3,
    "reference_loss": ReferenceLoss.sum_over_rows,
    "round_to_tenths": True,
    "reduction": Reduction.token,
    "averaging": Averaging.each_set,
}


@pytest.mark.parametrize("packs_per_forward", [1, 100])
def test_layer_freeze_released(tmp_path: Path, packs_per_forward: int) -> None:
    """A step has three micro-batches of two rows, some without retain rows; 23 rows leave a shorter step an epoch."""
    with InDouble():
        ours, theirs = scoped(LayersScope("0", [ModuleKind.mlp]), "olmo")
        plan = MixedSchedule(6, 6, accumulate=3).plan(*LENGTHS, None, seed=3)
        assert len(plan[0].parts) == 3
        assert any(retain == 0 for step in plan for _, retain in step.parts)
        trained(tmp_path, ours, AdaptiveGradDiff(**RELEASED), plan, 16, packs_per_forward)  # type: ignore[arg-type]
        expected = joint_as_released(theirs, drawn(plan), micro=2, accumulate=3, lr=LR, max_steps=STEPS)
    assert len(plan) > STEPS
    assert curve(tmp_path, "retain_weight") == pytest.approx(expected.retain_weights, abs=1e-9)
    # Rounded, and both at the clip's ends and between them.
    assert {1.2, 2.3} < set(expected.multipliers) <= {number / 10 for number in range(12, 24)}
    assert_same_run(tmp_path, ours, theirs, expected.losses)
