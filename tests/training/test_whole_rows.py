"""Every family's rows are trained as rows alone, whether or not they can share packs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.families import EVERY_FAMILY, EVERY_STATEFUL
from tests.reference.in_double import InDouble
from tests.reference.plain_training import PlainTrainer
from tests.tiny_models import STATEFUL, tiny_model
from tests.training.golden import FORGET, LENGTHS, LR, RETAIN, curve
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import IGNORED, build_packs, whole_row_passes
from unlearning.models.capabilities import LEAKING, capabilities
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.layers import LayersScope
from unlearning.training.fit import fit
from unlearning.training.row_model import RowModel
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.task import TrainingTask

STEPS = 3
BY_DEFAULT = ("qwen3_5_text", "granitemoehybrid", "mamba2", "opt")
ONE_BY_ONE = [
    pytest.param(family, marks=() if family in BY_DEFAULT else pytest.mark.exhaustive)
    for family in (*STATEFUL, *sorted(LEAKING))
]


def row_loss(model: PreTrainedModel, row: EncodedRow) -> Tensor:
    """Return the mean cross-entropy of a row's answer, from a forward pass of that row alone."""
    logits = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0]
    start = row.supervised_from
    return torch.nn.functional.cross_entropy(logits[start - 1 : -1], torch.tensor(row.input_ids[start:]))


@pytest.mark.parametrize("family", [*EVERY_FAMILY, *EVERY_STATEFUL])
def test_losses_are_those_of_rows_alone(family: str) -> None:
    """All rows go through the model in a few passes, in the packs that the family allows."""
    model = tiny_model(family)
    layout = StepLayout(24, 3, 0, False, True, True, shares_packs=capabilities(model).packs)
    ours = RowModel(model, None)
    found: dict[int, float] = {}
    passes = layout.passes([[len(row.input_ids)] for row in FORGET])
    with torch.no_grad():
        for chosen in passes:
            rows = [FORGET[index] for index in chosen]
            packs = build_packs(rows, layout.packs_of([len(row.input_ids) for row in rows]), 0)
            wanted = packs.targets != IGNORED
            logits = ours.outputs(ours.states(packs, None, 0))
            nats = torch.nn.functional.cross_entropy(logits, packs.targets[wanted], reduction="none")
            for place, index in enumerate(chosen):
                found[index] = float(nats[packs.rows[wanted] == place].mean())
        expected = [float(row_loss(model, row)) for row in FORGET]
    assert 1 < len(passes) < len(FORGET)
    assert [found[index] for index in range(len(FORGET))] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", ONE_BY_ONE)
def test_training_is_that_of_rows_alone(tmp_path: Path, family: str) -> None:
    """Losses and weights after a few steps of gradient difference, the upper layer alone, its input kept."""
    scope = LayersScope("1", [ModuleKind.layer])
    with InDouble():
        ours, theirs = (scope.apply(tiny_model(family).double(), None) for _ in range(2))
        plan = MixedSchedule(epochs=1, batch_rows=8).plan(*LENGTHS, 1, seed=2)[:STEPS]
        task = TrainingTask(
            ours, GradDiff(), plan, TrainingRows(FORGET, (), RETAIN), 0, OptimizerConfig(lr=LR), 0, "whole rows"
        )
        fit(task, TrainerConfig(pack_tokens=24, packs_per_forward=2, accelerator="cpu"), tmp_path, [])
        plain = PlainTrainer(theirs, LR, plan[0].phase_steps)
        losses = []
        for step in plan:
            forget = torch.stack([row_loss(theirs, FORGET[row]) for row in step.forget]).mean()
            retain = torch.stack([row_loss(theirs, RETAIN[row]) for row in step.retain]).mean()
            losses.append(plain.backward(retain - forget))
            plain.step()
    assert curve(tmp_path, "loss") == pytest.approx(losses, rel=1e-6, abs=1e-6)
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, wanted[name], atol=1e-6, rtol=1e-6)


def test_passes_of_whole_rows_by_hand() -> None:
    """Units of rows of 5 and 4, 9, 2, and 8 tokens: 9 fills a pass of 20 with 8; then three rows of 5 or fewer fit."""
    units = [[5, 4], [9], [2], [8]]
    assert whole_row_passes(units, 20) == [[1, 3], [0, 2]]
    assert whole_row_passes(units, 10) == [[1], [3], [0], [2]]
    assert whole_row_passes(units, 1) == [[1], [3], [0], [2]]
    assert whole_row_passes([], 10) == []
