"""What a run would be: its steps, weights, memory, disk and work. Nothing of it needs weights or a run."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from heapq import nlargest
from math import prod

from torch import nn
from transformers import PreTrainedModel

from unlearning.config.commands import UnlearnConfig
from unlearning.config.model import Quantization
from unlearning.config.scope import TracedScopeConfig
from unlearning.models import anatomy
from unlearning.models.token_values import tokens_together
from unlearning.plan.activations import count_activations
from unlearning.plan.counts import Counts, counts_of
from unlearning.plan.machine import Machine
from unlearning.plan.memory import Layout, Memory, scoring_memory, training_memory
from unlearning.schedules.plan import PlanStep
from unlearning.training.disk_space import MOMENTS, DiskNeed, disk_need, keeps_best
from unlearning.training.planned_training import (
    PlannedTraining,
    planned_layout,
    planned_reference,
    scoped_model,
)
from unlearning.training.row_model import plain_model
from unlearning.training.step_data import StepLayout
from unlearning.training.step_dataset import StepDataset
from unlearning.training.step_layout import prefix_bytes_per_token
from unlearning.training.table_sizes import ReferenceSize
from unlearning.training.trainer import resolve_precision

STEPS_LAID_OUT = 16
"""Steps whose forward passes are laid out to find the largest one; laying out all of a long run takes seconds."""


@dataclass(frozen=True)
class RunPlan:
    """What a run would be."""

    planned: PlannedTraining
    steps: list[PlanStep]
    """The steps that are made: those of the schedule, or the first trainer.max_steps of them."""
    layout: StepLayout
    counts: Counts
    memory: Memory
    """Bytes on one device while it trains."""
    scoring_bytes: float
    """Bytes on the device that scores."""
    reference: ReferenceSize
    """What the model says before unlearning."""
    host_bytes: float
    """Bytes in CPU memory beside a GPU: a checkpoint's copy, and tables; 0 on a CPU, where `memory` has them."""
    disk: DiskNeed
    all_layers: bool
    """Whether the layers are chosen by a trace, so that all of them are counted here."""

    @property
    def row_tokens(self) -> int:
        """Tokens of all rows of both sets, each counted once."""
        return sum(len(row.input_ids) for rows in (self.planned.rows.forget, self.planned.rows.retain) for row in rows)

    @property
    def peak_bytes(self) -> float:
        """The most bytes on one device, while it trains or scores."""
        return max(self.memory.total, self.scoring_bytes)


def plan_run(
    config: UnlearnConfig,
    planned: PlannedTraining,
    skeleton: PreTrainedModel,
    pad: int,
    layers: Sequence[int] | None,
    machine: Machine,
    with_activations: bool = True,
) -> RunPlan:
    """Return the plan of a run on a machine.

    `skeleton` is the target model without its weights, `pad` the padding token, `layers` are those of a trace. Without
    `with_activations` these are left out, which takes a fraction of the time. Raises InputError for a scope that does
    not fit.
    """
    open_layers = layers is None and isinstance(config.scope, TracedScopeConfig)
    if open_layers:
        layers = range(len(anatomy.layers(skeleton)))
    scoped = scoped_model(config.scope, deepcopy(skeleton), planned.objective, layers)
    steps = planned.steps[: config.trainer.max_steps]
    layout, counts = planned_layout(config, planned, scoped, pad), counts_of(scoped)
    answers = len(planned.rows.forget) + len(planned.rows.retain)
    slots = min(config.evaluation.batch_tokens, _all_tokens(planned) + answers * config.evaluation.max_new_tokens)
    reference = planned_reference(config, planned, scoped, steps, layout)
    besides = {
        "checkpoint": _checkpoint_bytes(config, held_by(config, machine), counts),
        "tables": float(reference.bytes + _prefix_bytes(config, planned, scoped, layout)),
    }
    shape = largest_pass(planned, layout, steps, machine.devices)
    memory = _memory(config, scoped, counts, machine, shape, with_activations)
    on_cpu = machine.kind == "cpu"
    return RunPlan(
        planned=planned,
        steps=steps,
        layout=layout,
        counts=counts,
        memory=replace(memory, libraries=machine.libraries_bytes, **(besides if on_cpu else {})),
        scoring_bytes=machine.libraries_bytes
        + scoring_memory(counts, held_by(config, machine).itemsize, slots, _logits_bytes(machine, counts, slots)),
        reference=reference,
        host_bytes=0.0 if on_cpu else sum(besides.values()),
        disk=disk_need(scoped, keeps_best(config.stopping)),
        all_layers=open_layers,
    )


def held_by(config: UnlearnConfig, machine: Machine) -> Layout:
    """Return how the run holds its model on the machine."""
    trainer = config.trainer
    several = machine.devices > 1
    return Layout(
        precision=resolve_precision(trainer),
        in_4_bits=config.model.quantization is not Quantization.none,
        gradient_checkpointing=trainer.gradient_checkpointing,
        sharded_over=machine.devices if several and trainer.strategy == "fsdp" else 1,
        replicas=machine.devices if several and trainer.strategy != "fsdp" else 1,
        sharp=config.optimizer.sam_radius > 0,
        leaves_gaps=machine.leaves_gaps,
    )


def _memory(
    config: UnlearnConfig,
    scoped: nn.Module,
    counts: Counts,
    machine: Machine,
    shape: tuple[int, int],
    with_activations: bool,
) -> Memory:
    held, (packs, width) = held_by(config, machine), shape
    found = count_activations(scoped, width, held.mixed) if with_activations else None
    return training_memory(counts, held, found, packs, _logits_bytes(machine, counts, packs * width))


def largest_pass(
    planned: PlannedTraining, layout: StepLayout, steps: Sequence[PlanStep], devices: int
) -> tuple[int, int]:
    """Return the packs and the tokens of a pack of the largest forward pass of one device, with their padding.

    Of the steps, those with the most tokens are looked at. A pass holds the longest row at least.
    """
    rows = planned.rows
    longest = max((len(row.input_ids) for own in (rows.forget, rows.refusals, rows.retain) for row in own), default=2)
    dataset = StepDataset(steps, rows, layout, start=0, rank=0, world=devices)
    largest = nlargest(STEPS_LAID_OUT, range(len(steps)), key=dataset.tokens)
    shapes = [shape for index in largest for shape in dataset.pass_shapes(index)]
    return max([*shapes, (1, max(2, longest))], key=prod)


def _checkpoint_bytes(config: UnlearnConfig, held: Layout, counts: Counts) -> float:
    """Return the bytes of the copy that a checkpoint is written from; with a checkpoint at each step there is none."""
    if config.trainer.checkpoint_every_seconds == 0:
        return 0.0
    return (1 + MOMENTS) * held.itemsize * counts.trained / held.sharded_over


def _prefix_bytes(config: UnlearnConfig, planned: PlannedTraining, scoped: nn.Module, layout: StepLayout) -> int:
    tokens = sum(len(planned.rows[number].input_ids) for number in layout.prefix_rows)
    return tokens * prefix_bytes_per_token(plain_model(scoped), config.trainer)


def _logits_bytes(machine: Machine, counts: Counts, tokens: int) -> float:
    """Return the bytes of the logits that are computed together: those of all tokens in float32, or as many as may."""
    return 4.0 * counts.vocabulary * min(tokens, tokens_together(machine.kind, counts.vocabulary))


def _all_tokens(planned: PlannedTraining) -> int:
    return sum(len(row.input_ids) for rows in (planned.rows.forget, planned.rows.retain) for row in rows)
