"""Both seed systems, as published, for 20 steps against their plain restatements, in double precision."""

from pathlib import Path

import pytest

from tests.reference.in_double import InDouble
from tests.reference.plain_ails import sugd
from tests.reference.plain_sha256 import joint_as_published
from tests.training.golden import LENGTHS, LR, ROWS, STEPS, assert_same_run, curve, drawn, scoped, trained
from unlearning.config.objective_choices import Averaging
from unlearning.config.scope import ModuleKind
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import LayersScope
from unlearning.scopes.scope import Scope


@pytest.mark.grid
@pytest.mark.parametrize("packs_per_forward", [1, 100])
@pytest.mark.parametrize("layer", ["0", "1"])
def test_layer_freeze(tmp_path: Path, layer: str, packs_per_forward: int) -> None:
    """The MLPs of one layer move and the adaptive weight rises; several forward passes a step change nothing."""
    with InDouble():
        ours, theirs = scoped(LayersScope(layer, [ModuleKind.mlp]), "olmo")
        plan = MixedSchedule(epochs=4, batch_rows=4).plan(*LENGTHS, None, seed=2)
        trained(tmp_path, ours, AdaptiveGradDiff(), plan, 16, packs_per_forward)
        expected = joint_as_published(theirs, drawn(plan), batch=4, lr=LR, max_steps=STEPS)
    assert len(plan) > STEPS
    assert curve(tmp_path, "retain_weight") == pytest.approx(expected.retain_weights, abs=1e-9)
    assert len([weight for weight in expected.retain_weights if 1.25 < weight < 2.8]) >= 2
    assert_same_run(tmp_path, ours, theirs, expected.losses)


@pytest.mark.grid
@pytest.mark.parametrize(
    "scope", [LoraScope(rank=2, alpha=8.0), LayersScope("-1:", [ModuleKind.layer])], ids=["lora", "last-1"]
)
@pytest.mark.parametrize("family", ["olmo", "gpt2"])
def test_chunked(tmp_path: Path, scope: Scope, family: str) -> None:
    """SUGD: a new optimiser and schedule for each chunk, cyclic retain rows, factor 0.5, one mean over the batch."""
    with InDouble():
        ours, theirs = scoped(scope, family)
        plan = ChunkedSchedule(epochs=3, batch_rows=6, chunk_rows=4).plan(*LENGTHS, 3, seed=0)
        trained(tmp_path, ours, GradDiff(retain_weight=0.5, averaging=Averaging.whole_batch), plan)
        losses = sugd(
            theirs,
            *ROWS,
            chunk=4,
            ratio=3,
            factor=0.5,
            batch=6,
            lr=LR,
            epochs=3,
            max_steps=STEPS,
        )
    assert len(plan) > STEPS
    assert_same_run(tmp_path, ours, theirs, losses)
