"""RepSelect: one gradient of the forget rows, without the directions that they share, is taken again and again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, isfinite
from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.config.objective_choices import Answers
from unlearning.config.repselect import RepSelectConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.models.capabilities import capabilities
from unlearning.objectives.base import Objective
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.relabel import Relabel
from unlearning.progress.shown import shown_progress
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.build_tables import build_tables
from unlearning.training.checkpoint import CHECKPOINT, Progress, read_progress, restore, save_checkpoint, trainable
from unlearning.training.data_module import to_device
from unlearning.training.hardware import one_device
from unlearning.training.row_model import RowModel, plain_model
from unlearning.training.step_data import StepLayout
from unlearning.training.step_dataset import StepDataset
from unlearning.training.step_layout import layout_of
from unlearning.training.task import TrainingRecord, TrainingTask, record_of

KEEP = GradDiff(forget_weight=0.0, retain_weight=0.0, divergence_weight=1.0)
"""Its retain term is the KL from the model before."""
LEARN = Relabel(answers=Answers.own, retain_weight=0.0)
"""Its forget term is the cross-entropy of the forget rows."""
EXACT_SIDE = 1024
"""Smaller side of a matrix beyond which its main directions are found by random projections, as the authors do."""


def repselect(task: TrainingTask, settings: RepSelectConfig, config: TrainerConfig, run_dir: Path) -> TrainingRecord:
    """Change the matrices of the task's model that may move, and return what that took (arXiv 2606.17168).

    1. Adapters on these matrices learn the forget rows by plain gradient descent, for one pass of the plan.
    2. With the adapters in place, G is the sum of the gradients of the objective's steps over one pass.
    3. The adapters are taken off. Of each G the main directions are scaled down (`without_main_directions`).
    4. W <- W - lr G, again and again with the same G, as long as the KL from the model before, on retain rows, is at
       most `most_kl_nats`: the step that goes beyond is taken back.

    It runs on one device, in the weights' own type. A run that was killed begins anew; a finished one is taken from its
    checkpoint.
    """
    pl.seed_everything(task.seed, workers=False, verbose=False)
    steps = [step for step in task.plan[: config.max_steps] if step.phase == 0 and step.epoch == 0]
    done = read_progress(run_dir / CHECKPOINT, task.identity)
    if done is not None and done.finished:
        restore(run_dir / CHECKPOINT, task.identity, task.model, None)
        return record_of(task, steps, done)
    started = time.monotonic()
    task.model.to(one_device(config)).eval()
    matrices = {name: weight for name, weight in trainable(task.model).items() if weight.dim() == 2}
    passes = Passes(task, config)
    updates = summed_gradients(passes, matrices, steps, settings)
    updates = {name: without_main_directions(gradient, settings.directions) for name, gradient in updates.items()}
    repeat_step(passes, matrices, updates, settings)
    done = Progress(len(steps), task.objective.state(), time.monotonic() - started, task.identity, finished=True)
    save_checkpoint(run_dir / CHECKPOINT, task.model, None, done, random={})
    return record_of(task, steps, done)


def without_main_directions(gradient: Tensor, share: float) -> Tensor:
    """Return the gradient (d_out, d_in) with its q main directions scaled down, q = `share` of the smaller side.

    With G = U S V^T, G <- G - (G V) diag(1 - s_min / s_i) V^T, and the same on the left with U. So component i of G has
    s_min^2 / s_i in place of s_i, where s_min is the least of the q; all other directions stay as they are.
    """
    wide = gradient.float()
    side = min(wide.shape)
    q = ceil(share * side)
    if side <= EXACT_SIDE:
        u, s, vh = torch.linalg.svd(wide, full_matrices=False)
        u, s, v = u[:, :q], s[:q], vh[:q].T
    else:
        u, s, v = torch.svd_lowrank(wide, q=q)
    if s[-1] == 0:
        s = s + torch.finfo(s.dtype).tiny
    cut = 1 - s[-1] / s
    wide = wide - (wide @ v * cut) @ v.T
    wide = wide - u @ (cut[:, None] * (u.T @ wide))
    found: Tensor = wide.to(gradient)
    return found


class Passes:
    """Forward and backward passes over a task's rows, on the model's device."""

    def __init__(self, task: TrainingTask, config: TrainerConfig) -> None:
        self.task, self.config = task, replace(config, prefix_cache_gib=0.0)
        self.model: PreTrainedModel = plain_model(task.model)

    def losses(self, objective: Objective, steps: Sequence[PlanStep]) -> "StepLosses":
        """Return what computes the objective's losses; the model as it is now is the reference."""
        task, packs = self.task, capabilities(self.model).packs
        layout = layout_of(self.model, objective, task.rows, task.pad, self.config, steps, packs, sets_apart=False)
        model = RowModel(self.model, objective.layer)
        limit = self.config.reference_gib
        tables = build_tables(model, objective, steps, task.rows, layout, limit, Console().print)
        return StepLosses(self, objective, layout, BatchLosses(model, objective, tables))


@dataclass(frozen=True)
class StepLosses:
    """The losses of one objective."""

    passes: Passes
    objective: Objective
    layout: StepLayout
    batches: BatchLosses

    def backward(self, step: PlanStep) -> None:
        """Add the gradient of a step's loss to the weights that need one."""
        for loss in self._losses(step):
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]

    def value(self, step: PlanStep) -> float:
        """Return a step's loss."""
        with torch.no_grad():
            return float(sum(loss.double() for loss in self._losses(step)))

    def _losses(self, step: PlanStep) -> Iterator[Tensor]:
        """Yield the share of the step's loss of each of its forward passes."""
        task = self.passes.task
        data = to_device(StepDataset([step], task.rows, self.layout, 0, 0, 1).build(0), self.passes.model.device)
        for part in data.parts:
            forget, retain = self.objective.denominators(part.forget_size, part.retain_size)
            weights = self.objective.weights(None, True)
            for batch in (*part.retain_first, *part.rest):
                sums = self.batches.sums(batch)
                yield (weights[0] / forget * sums[0] + weights[1] / retain * sums[1]) / len(data.parts)


def summed_gradients(
    passes: Passes, matrices: Mapping[str, nn.Parameter], steps: Sequence[PlanStep], settings: RepSelectConfig
) -> dict[str, Tensor]:
    """Return the sum of each matrix's gradients over the steps, while adapters that learnt the rows are in place."""
    objective = passes.losses(passes.task.objective, steps)
    with _adapters(passes.model, matrices, settings.lora_rank) as adapters:
        learn = passes.losses(LEARN, steps)
        with shown_progress("adapters", len(steps)) as advance:
            for step in steps if settings.lora_lr else ():
                learn.backward(step)
                with torch.no_grad():
                    for weight in adapters:
                        if weight.grad is not None:
                            weight.sub_(settings.lora_lr * weight.grad)
                            weight.grad = None
                advance(1)
        for weight in adapters:
            weight.requires_grad_(False)
        for weight in matrices.values():
            weight.requires_grad_(True)
        with shown_progress("gradient", len(steps)) as advance:
            for step in steps:
                objective.backward(step)
                advance(1)
        found = {name: weight.grad for name, weight in matrices.items() if weight.grad is not None}
        for weight in matrices.values():
            weight.grad = None
    return found


def repeat_step(
    passes: Passes, matrices: Mapping[str, nn.Parameter], updates: Mapping[str, Tensor], settings: RepSelectConfig
) -> None:
    """Take the step again and again; the one that goes beyond the KL, or makes it no number, is taken back."""
    look = PlanStep(0, 0, 1, 0, (), tuple(range(min(settings.texts, len(passes.task.rows.retain)))))
    keep = passes.losses(KEEP, [look])
    for number in range(1, settings.repetitions + 1):
        before = {name: matrices[name].detach().clone() for name in updates}
        with torch.no_grad():
            for name, update in updates.items():
                matrices[name].sub_(settings.lr * update)
        apart = keep.value(look)
        beyond = not (isfinite(apart) and apart <= settings.most_kl_nats)
        Console().print(f"  step {number}: KL {apart:.2g} nats a token{', taken back' if beyond else ''}", style="dim")
        if beyond:
            with torch.no_grad():
                for name, weight in before.items():
                    matrices[name].copy_(weight)
            return


@contextmanager
def _adapters(model: PreTrainedModel, matrices: Mapping[str, nn.Parameter], rank: int) -> Iterator[list[nn.Parameter]]:
    """While open, the linear modules of these matrices have new adapters, which alone need gradients; yields them."""
    from peft import LoraConfig, get_peft_model

    moving = [weight for weight in model.parameters() if weight.requires_grad]
    known = {id(weight) for weight in matrices.values()}
    linear = {name: module for name, module in model.named_modules() if id(getattr(module, "weight", None)) in known}
    transposed = any(type(module).__name__ == "Conv1D" for module in linear.values())
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=sorted(linear), fan_in_fan_out=transposed)
    wrapped = get_peft_model(model, config)
    try:
        yield [weight for name, weight in wrapped.named_parameters() if "lora_" in name]
    finally:
        wrapped.unload()
        model.requires_grad_(False)
        for weight in moving:
            weight.requires_grad_(True)
