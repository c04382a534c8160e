"""Both seed systems for 20 steps against their plain restatements, in double precision."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.reference.plain_training import Tokens, joint, sugd
from tests.tiny_models import tiny_model
from unlearning.config import Averaging, ModuleKind, OptimizerConfig, TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.data.schedules import ChunkedSchedule, MixedSchedule, PlanStep
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective
from unlearning.objectives.grad_diff import GradDiff
from unlearning.scope import BlocksScope, LoraScope, Scope
from unlearning.training.fit import TrainingTask, fit

LR = 3e-3
# GPT-2, because its norms compute in the weights' own precision; most others' compute in float32 whatever that is.
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def random_rows(count: int, seed: int) -> list[EncodedRow]:
    """Rows of 4 to 14 tokens."""
    rng = random.Random(seed)
    lengths = [rng.randint(4, 14) for _ in range(count)]
    return [EncodedRow(tuple(rng.randrange(3, 96) for _ in range(n)), rng.randint(1, n - 2)) for n in lengths]


def plain(rows: Sequence[EncodedRow]) -> list[Tokens]:
    """What the restatement takes."""
    return [(row.input_ids, row.supervised_from) for row in rows]


FORGET, RETAIN = random_rows(10, 1), random_rows(13, 2)


def curve(folder: Path, column: str) -> list[float]:
    """One column of the loss curve."""
    with (folder / "loss_curve.csv").open() as handle:
        return [float(line[column]) for line in csv.DictReader(handle)]


def assert_same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """All parameters, names included."""
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, expected[name], atol=1e-9, rtol=1e-9)


def trained(
    tmp_path: Path, model: nn.Module, objective: Objective, plan: list[PlanStep], trainer: TrainerConfig
) -> nn.Module:
    """The library's way."""
    task = TrainingTask(model, objective, plan, FORGET, RETAIN, 0, OptimizerConfig(lr=LR), 0, "golden")
    fit(task, trainer, tmp_path, [])
    return model


def scoped(scope: Scope) -> tuple[nn.Module, nn.Module]:
    """Two equal models under one scope."""
    models = []
    for _ in range(2):
        model: PreTrainedModel = tiny_model("gpt2", **NO_DROPOUT).double()
        torch.manual_seed(1)
        models.append(scope.apply(model, None).double())
    return models[0], models[1]


@pytest.mark.parametrize("packs_per_forward", [1, 100])
def test_layer_freeze(tmp_path: Path, packs_per_forward: int) -> None:
    """MLPs of block 0 move; the adaptive weight leaves its floor; accumulation changes nothing."""
    ours, theirs = scoped(BlocksScope("0", [ModuleKind.mlp]))
    plan = MixedSchedule(epochs=5, batch_rows=6).plan(len(FORGET), len(RETAIN), None, seed=3)[:20]
    plan = [PlanStep(0, i, 20, step.epoch, step.forget, step.retain) for i, step in enumerate(plan)]
    trainer = TrainerConfig(pack_tokens=16, packs_per_forward=packs_per_forward, accelerator="cpu")
    trained(tmp_path, ours, AdaptiveGradDiff(), plan, trainer)
    forget, retain = plain(FORGET), plain(RETAIN)
    steps = [(s.epoch, [forget[i] for i in s.forget], [retain[i] for i in s.retain]) for s in plan]
    losses, alphas = joint(theirs, steps, lr=LR)
    assert curve(tmp_path, "loss") == pytest.approx(losses, abs=1e-6)
    assert curve(tmp_path, "retain_weight") == pytest.approx(alphas, abs=1e-9)
    assert max(alphas) > 1.25
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize(
    "scope", [LoraScope(rank=2, alpha=8.0), BlocksScope("-1:", [ModuleKind.block])], ids=["lora", "last-1"]
)
def test_chunked(tmp_path: Path, scope: Scope) -> None:
    """SUGD: fresh optimiser and schedule a chunk, cyclic retain rows, factor 0.5, one mean over the batch."""
    ours, theirs = scoped(scope)
    plan = ChunkedSchedule(epochs=2, batch_rows=6, chunk_rows=4).plan(len(FORGET), len(RETAIN), 2, seed=0)
    objective = GradDiff(retain_weight=0.5, averaging=Averaging.whole_batch)
    trained(tmp_path, ours, objective, plan, TrainerConfig(pack_tokens=32, max_steps=20, accelerator="cpu"))
    losses = sugd(
        theirs, plain(FORGET), plain(RETAIN), chunk=4, ratio=2, factor=0.5, batch=6, lr=LR, epochs=2, max_steps=20
    )
    assert len(losses) == min(20, len(plan))
    assert_same_weights(ours, theirs)
