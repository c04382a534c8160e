"""Training runs of a few seconds in which each part has a state of its own that an interruption must not lose."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from tests.tiny_models import tiny_model
from tests.training.rows import FORGET, RETAIN, UNSEEN, lengths
from unlearning.config.noised_start import NoisedStartConfig
from unlearning.config.objective_choices import AboveCeiling, CeilingUnit, ReferenceLoss
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective
from unlearning.objectives.distil import Distil
from unlearning.objectives.dpo import DPO
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.npo import NPO
from unlearning.objectives.pdu import PDU
from unlearning.objectives.rmu import RMU
from unlearning.schedules.alternating import AlternatingSchedule
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import AllScope, LayersScope
from unlearning.scopes.scope import Scope
from unlearning.training.fit import fit
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import ComparedRows, TrainingRecord, TrainingTask

TRAINER = TrainerConfig(accelerator="cpu", pack_tokens=32, checkpoint_every_seconds=0.0)
"""Writes a checkpoint after each step."""
SIZES = lengths(FORGET), lengths(RETAIN)
MIXED = MixedSchedule(3, 8).plan(*SIZES, None, 0)
# Where the loss falls from the start, as it does with random weights, only this reference is ever exceeded.
ADAPTIVE = partial(AdaptiveGradDiff, base=1.2, reference_loss=ReferenceLoss.sum_over_rows)


def dropping_model() -> nn.Module:
    """Return a GPT-2 with dropout, so that the random state matters."""
    return tiny_model("gpt2", resid_pdrop=0.2, embd_pdrop=0.2, attn_pdrop=0.0)


def refusals() -> list[EncodedRow]:
    """Return another answer to each forget row."""
    rng = random.Random(7)
    return [
        EncodedRow(
            (*row.input_ids[: row.supervised_from], *(rng.randrange(3, 96) for _ in range(4))), row.supervised_from
        )
        for row in FORGET
    ]


@dataclass(frozen=True)
class Case:
    """One training run."""

    plan: Sequence[PlanStep] = field(default_factory=lambda: MIXED)
    objective: Callable[[], Objective] = ADAPTIVE
    scope: Scope = field(default_factory=AllScope)
    model: Callable[[], nn.Module] = dropping_model
    refusals: Sequence[EncodedRow] = ()
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    lr: float = 1e-2
    sam_radius: float = 0.0
    noised_start: NoisedStartConfig = field(default_factory=NoisedStartConfig)
    compared: ComparedRows | None = None

    def task(self, **changes: object) -> TrainingTask:
        """Return the training task, with the same weights at the start each time."""
        model = self.model()
        torch.manual_seed(1)
        settings: dict[str, object] = {
            "model": self.scope.apply(model, None),  # type: ignore[arg-type]
            "objective": self.objective(),
            "plan": self.plan,
            "rows": TrainingRows(FORGET, self.refusals, RETAIN),
            "pad": 0,
            "optimizer": OptimizerConfig(lr=self.lr),
            "sam_radius": self.sam_radius,
            "noised_start": self.noised_start,
            "seed": 5,
            "identity": "resume",
            "stopping": self.stopping,
            "compared": self.compared,
        }
        return TrainingTask(**{**settings, **changes})  # type: ignore[arg-type]

    def run(self, folder: Path, trainer: TrainerConfig = TRAINER) -> tuple[nn.Module, TrainingRecord]:
        """Train, or go on training, in a folder."""
        folder.mkdir(exist_ok=True)
        task = self.task()
        return task.model, fit(task, trainer, folder, [])


OLMO = partial(tiny_model, "olmo")
STEADY = partial(tiny_model, "gpt2")
"""Without dropout: which check is best must not depend on how rows are packed."""
LAST_LAYER = LayersScope("1", [ModuleKind.layer])
"""The head and the first layer are frozen: there is a reference of hidden states, and a prefix."""
CASES = {
    "mixed": Case(),
    "parts": Case(MixedSchedule(2, 8, accumulate=4).plan(*SIZES, None, 0)),
    "token budget": Case(MixedSchedule(2, 8, batch_tokens=60).plan(*SIZES, 1, 0)),
    "chunked": Case(ChunkedSchedule(2, 6, 4).plan(*SIZES, 2, 0)),
    "alternating": Case(AlternatingSchedule(1, 3, 4, 1.0, 0.5, True, 1, 4, 0.5).plan(*SIZES, None, 0)),
    "reference of nats": Case(objective=NPO),
    "reference of outputs": Case(objective=partial(GradDiff, divergence_weight=1.0)),
    "prefix": Case(objective=partial(NPO, divergence_weight=1.0), scope=LAST_LAYER, model=OLMO),
    "a layer's output": Case(objective=partial(RMU, layer=1, adaptive=True, alpha=1.0), model=OLMO),
    "two answers": Case(objective=DPO, refusals=refusals()),
    "dual variable": Case(objective=partial(PDU, dual_start=1.0, dual_step_size=0.5, dual_warmup_epochs=0)),
    "uphill": Case(sam_radius=0.05),
    "noised start": Case(objective=partial(Distil, divergence_weight=1.0), noised_start=NoisedStartConfig(0.5)),
    "LoRA dropout": Case(scope=LoraScope(rank=2, dropout=0.3)),
    "best state": Case(
        objective=partial(GradDiff, retain_weight=0.3),
        stopping=StoppingConfig(check_every_steps=2, check_rows=5, max_retain_rise_nats=0.05),
        model=STEADY,
        lr=3e-2,
    ),
    "patience": Case(
        objective=partial(GradDiff, retain_weight=0.3),
        stopping=StoppingConfig(check_every_steps=1, check_rows=5, patience=3, keep_best=False),
        model=STEADY,
        lr=3e-2,
    ),
    "moving ceiling": Case(
        objective=partial(GradDiff, above_ceiling=AboveCeiling.turn, ceiling_unit=CeilingUnit.token),
        scope=LAST_LAYER,
        stopping=StoppingConfig(check_every_steps=2, check_rows=5, keep_best=False),
        model=OLMO,
        compared=ComparedRows(FORGET[:4], UNSEEN),
    ),
    "observed checks": Case(
        stopping=StoppingConfig(
            check_every_steps=1, check_rows=5, check_part_rows=2, observe_checks=True, best_by=BestBy.objective
        ),
    ),
}
LONG = Case(
    MixedSchedule(30, 8).plan(*SIZES, None, 0),
    partial(ADAPTIVE, scale=0.05, offset=0.3, min_weight=0.1),
    stopping=StoppingConfig(check_every_steps=3, check_rows=5, max_retain_rise_nats=2.0, observe_checks=True),
    lr=3e-3,
)
"""90 steps, of which the best is somewhere in the middle."""


def same_weights(ours: nn.Module, theirs: nn.Module) -> bool:
    """Return whether two models have the same weights to the last bit, names included."""
    first, second = ours.state_dict(), theirs.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
