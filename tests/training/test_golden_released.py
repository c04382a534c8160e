"""SHA256's joint loss as its released code has it, for 20 steps against its plain restatement, in double precision."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reference.in_double import InDouble
from tests.reference.plain_sha256 import Released
from tests.training.golden import (
    FORGET,
    LENGTHS,
    LR,
    RETAIN,
    STEPS,
    assert_same_run,
    curve,
    drawn,
    plain,
    scoped,
    trained,
)
from unlearning.config.objective_choices import Averaging, Reduction, ReferenceLoss
from unlearning.config.optimizer import Accumulation, OptimizerConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.stopping import BestBy, StoppingConfig
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
CHECKS = {
    "check_last_step": False,
    "best_by": BestBy.objective,
    "observe_checks": True,
    "collapse_nats": None,
}
CHECKED = [(True, plain(FORGET)[row]) for row in (0, 2, 4, 6, 8)] + [
    (False, plain(RETAIN)[row]) for row in (0, 2, 5, 7, 10)
]
"""Five rows of each set; the second batch of four has rows of both."""


@pytest.mark.by_default("1-7")
@pytest.mark.parametrize(("packs_per_forward", "every"), [(100, 2), (1, 7)])
def test_layer_freeze_released(tmp_path: Path, packs_per_forward: int, every: int) -> None:
    """Each epoch is 23 rows in 12 micro-batches: steps of 5, 5 and 2. Ten times two whole steps are 20, of 30.

    With a check every 2 steps there is one in the first epoch, and one after the last step; with 7 there is neither.
    """
    schedule = MixedSchedule(10, 10, accumulate=5)
    with InDouble():
        ours, theirs = scoped(LayersScope("0", [ModuleKind.mlp]), "olmo")
        epochs = drawn(schedule.plan(*LENGTHS, None, seed=3))
        plan = replace(schedule, floor_steps=True).plan(*LENGTHS, None, seed=3)
        stopping = StoppingConfig(check_every_steps=every, check_rows=5, check_part_rows=4, **CHECKS)  # type: ignore[arg-type]
        optimizer = OptimizerConfig(lr=LR, accumulation=Accumulation.sum)
        objective = AdaptiveGradDiff(**RELEASED)  # type: ignore[arg-type]
        record = trained(tmp_path, ours, objective, plan, 16, packs_per_forward, optimizer, stopping)
        settings = {"micro": 2, "accumulate": 5, "every": every, "check_batch": 4}
        expected = Released(theirs).train(epochs, CHECKED, lr=LR, **settings)
    assert len(plan) == STEPS
    assert curve(tmp_path, "retain_weight") == pytest.approx(expected.retain_weights, abs=1e-9)
    # Rounded, and both at the clip's ends and between them.
    assert {1.2, 2.3} < set(expected.multipliers) <= {number / 10 for number in range(12, 24)}
    assert curve(tmp_path, "gradient_norm") == pytest.approx(expected.gradient_norms, rel=1e-9)
    with (tmp_path / "checks.csv").open() as handle:
        checks = [(int(line["step"]), float(line["loss"])) for line in csv.DictReader(handle)]
    assert [step for step, _ in checks[1:]] == [step for step, _ in expected.checks]
    assert [loss for _, loss in checks[1:]] == pytest.approx([loss for _, loss in expected.checks], rel=1e-9)
    assert record.best_step == min(expected.checks, key=lambda check: check[1])[0]
    assert_same_run(tmp_path, ours, theirs, expected.losses)
