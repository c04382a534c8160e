"""What the golden tests share: rows, two equal models, and the library's way to train one of them."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.reference.plain_sha256 import Mixed
from tests.reference.plain_training import Tokens
from tests.tiny_models import tiny_model
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.scope import Scope
from unlearning.training.fit import fit
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingRecord, TrainingTask

LR = 3e-3
STEPS = 20


def random_rows(count: int, seed: int) -> list[EncodedRow]:
    """Return random rows of 4 to 14 tokens."""
    rng = random.Random(seed)
    lengths = [rng.randint(4, 14) for _ in range(count)]
    return [EncodedRow(tuple(rng.randrange(3, 96) for _ in range(n)), rng.randint(1, n - 2)) for n in lengths]


FORGET, RETAIN = random_rows(10, 1), random_rows(13, 2)
LENGTHS = tuple([len(row.input_ids) for row in rows] for rows in (FORGET, RETAIN))
"""What plans are made of."""


def plain(rows: Sequence[EncodedRow]) -> list[Tokens]:
    """Return the rows as the restatements take them."""
    return [(row.input_ids, row.supervised_from) for row in rows]


ROWS = plain(FORGET), plain(RETAIN)


def drawn(plan: Sequence[PlanStep]) -> list[list[Mixed]]:
    """Return the rows of each epoch, part after part, for restatements that cut them by themselves."""
    epochs: list[list[Mixed]] = [[] for _ in range(1 + max(step.epoch for step in plan))]
    for step in plan:
        forget, retain = plain([FORGET[row] for row in step.forget]), plain([RETAIN[row] for row in step.retain])
        for first, second in step.parts or ((len(forget), len(retain)),):
            epochs[step.epoch] += [(True, row) for row in forget[:first]] + [(False, row) for row in retain[:second]]
            del forget[:first], retain[:second]
    return epochs


def scoped(scope: Scope, family: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return two equal models in double precision under one scope."""
    models = []
    for _ in range(2):
        model = tiny_model(family).double()
        torch.manual_seed(1)
        models.append(scope.apply(model, None).double())
    return models[0], models[1]


def trained(
    folder: Path,
    model: nn.Module,
    objective: Objective,
    plan: Sequence[PlanStep],
    pack_tokens: int = 32,
    packs_per_forward: int = 100,
    optimizer: OptimizerConfig | None = None,
    stopping: StoppingConfig | None = None,
    sam_radius: float = 0.0,
) -> TrainingRecord:
    """Train twenty steps with the library."""
    trainer = TrainerConfig(
        pack_tokens=pack_tokens, packs_per_forward=packs_per_forward, max_steps=STEPS, accelerator="cpu"
    )
    rows = TrainingRows(FORGET, (), RETAIN)
    optimizer, stopping = optimizer or OptimizerConfig(lr=LR), stopping or StoppingConfig()
    task = TrainingTask(model, objective, plan, rows, 0, optimizer, 0, "golden", stopping, sam_radius)
    return fit(task, trainer, folder, [])


def curve(folder: Path, column: str) -> list[float]:
    """Return one column of the loss curve."""
    with (folder / "loss_curve.csv").open() as handle:
        return [float(line[column]) for line in csv.DictReader(handle)]


def assert_same_run(folder: Path, ours: nn.Module, theirs: nn.Module, losses: Sequence[float]) -> None:
    """Compare the loss of each of the twenty steps, and all parameters after them, names included."""
    assert len(losses) == STEPS
    assert curve(folder, "loss") == pytest.approx(losses, rel=1e-9, abs=1e-9)
    expected = dict(theirs.named_parameters())
    assert set(expected) == set(dict(ours.named_parameters()))
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, expected[name], atol=1e-9, rtol=1e-9)
