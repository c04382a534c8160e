"""The LightningModule: an objective on a model, one plan step at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from unlearning.config import Decay, OptimizerConfig, Reduction
from unlearning.data.schedules import PlanStep
from unlearning.data.steps import MicroBatch, StepData
from unlearning.errors import InputError
from unlearning.models.row_losses import row_losses
from unlearning.objectives.base import Objective


@dataclass(frozen=True)
class StepRecord:
    """One line of loss_curve.csv. Losses are those before the step's update, None where the step has no such rows."""

    step: int
    phase: int
    lr: float
    forget_loss_nats: float | None
    retain_loss_nats: float | None
    retain_weight: float
    loss: float
    gradient_norm: float
    tokens: int


def learning_rate(config: OptimizerConfig, step: PlanStep) -> float:
    """Of one step: linear warm-up, then constant, or linear to zero over the phase as the Hugging Face Trainer's."""
    if step.phase_step < config.warmup_steps:
        return config.lr * step.phase_step / max(1, config.warmup_steps)
    if config.decay is Decay.constant:
        return config.lr
    left = (step.phase_steps - step.phase_step) / max(1, step.phase_steps - config.warmup_steps)
    return config.lr * max(0.0, left)


class UnlearningModule(pl.LightningModule):
    """Minimises an objective over the steps of a plan.

    Optimisation is manual because a step may consist of several forward passes whose weights are known only after the
    first ones, and because a chunk starts with a fresh optimiser.
    """

    def __init__(self, model: nn.Module, objective: Objective, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.optimizer_config = optimizer
        self.last_record: StepRecord | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the parameters that may move."""
        config = self.optimizer_config
        return torch.optim.AdamW(
            self.trainable(),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
        )

    def trainable(self) -> list[nn.Parameter]:
        """Parameters that may move, in the model's order."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def training_step(self, data: StepData, batch_idx: int) -> None:  # noqa: ARG002
        """One optimiser step. Raises InputError where a loss is not a number any more."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, pl.core.optimizer.LightningOptimizer)
        if data.step.phase_step == 0:
            optimizer.state.clear()
        rate = learning_rate(self.optimizer_config, data.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        forget, retain, weights = self._backward(data)
        norm = self._clip(data.index)
        optimizer.step()
        self._finish(data, rate, forget, retain, weights, norm)

    def _backward(self, data: StepData) -> tuple[float | None, float | None, tuple[float, float]]:
        """Gradients of the step's loss; returns the forget loss, the retain loss and the two weights."""
        by_forget, by_retain = self.objective.denominators(data.forget_size, data.retain_size)
        first_epoch = data.step.phase == 0 and data.step.epoch == 0
        if self.objective.retain_first:
            sums = self._accumulate(data.retain_first, 0.0, 1.0 / by_retain)
            retain = self._mean(sums[1], data.retain_size.rows, data.retain_size.tokens)
            weights = self.objective.weights(retain, first_epoch)
            # The retain gradient was taken at weight 1, before its weight was known; scaling it now is exact.
            torch._foreach_mul_([p.grad for p in self.trainable() if p.grad is not None], weights[1])
            sums = self._accumulate(data.rest, weights[0] / by_forget, 0.0)
            forget = self._mean(sums[0], data.forget_size.rows, data.forget_size.tokens)
        else:
            weights = self.objective.weights(None, first_epoch)
            sums = self._accumulate(data.rest, weights[0] / by_forget, weights[1] / by_retain)
            forget = self._mean(sums[0], data.forget_size.rows, data.forget_size.tokens)
            retain = self._mean(sums[1], data.retain_size.rows, data.retain_size.tokens)
        self.objective.observe(retain, first_epoch)
        self._require_finite(data.index, forget=forget, retain=retain)
        return forget, retain, weights

    def _accumulate(self, batches: Sequence[MicroBatch], by_forget: float, by_retain: float) -> Tensor:
        """Add the gradients of some forward passes; returns the unweighted loss sums (forget, retain), all devices'."""
        sums = torch.zeros(2, device=self.device, dtype=torch.float64)
        world = self.trainer.world_size
        for batch in batches:
            nats = row_losses(self.model, batch.packs, len(batch.row_tokens))
            units = self.objective.row_units(batch.row_tokens) * (batch.row_tokens > 0)
            forget = units * batch.is_forget
            retain = units * ~batch.is_forget
            loss = by_forget * (forget * self.objective.forget_terms(nats)).sum()
            loss = loss + by_retain * (retain * self.objective.retain_terms(nats)).sum()
            # Devices average their gradients, while the denominators already count all devices' rows.
            self.manual_backward(loss * world)
            detached = nats.detach().double()
            sums += torch.stack([(forget * detached).sum(), (retain * detached).sum()])
        if world > 1:
            torch.distributed.all_reduce(sums)
        return sums

    def _mean(self, total: Tensor, rows: int, tokens: int) -> float | None:
        units = tokens if self.objective.reduction is Reduction.token else rows
        return float(total) / units if units else None

    def _clip(self, index: int) -> float:
        limit = self.optimizer_config.clip_norm
        norm = float(nn.utils.clip_grad_norm_(self.trainable(), math.inf if limit is None else limit))
        self._require_finite(index, gradient_norm=norm)
        return norm

    def _require_finite(self, index: int, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                raise InputError(
                    f"training diverged at step {index}: {name.replace('_', ' ')} is {value}; "
                    "lower optimizer.lr or set objective.forget_ceiling_nats"
                )

    def _finish(
        self,
        data: StepData,
        rate: float,
        forget: float | None,
        retain: float | None,
        weights: tuple[float, float],
        norm: float,
    ) -> None:
        # The loss that is reported is that of the objective's terms, ceiling included.
        parts = []
        if forget is not None:
            parts.append(weights[0] * float(self.objective.forget_terms(torch.tensor(forget))))
        if retain is not None:
            parts.append(weights[1] * float(self.objective.retain_terms(torch.tensor(retain))))
        self.last_record = StepRecord(
            step=data.index,
            phase=data.step.phase,
            lr=rate,
            forget_loss_nats=forget,
            retain_loss_nats=retain,
            retain_weight=weights[1],
            loss=sum(parts),
            gradient_norm=norm,
            tokens=data.tokens,
        )
        self.log_dict(
            {
                f"train/{name}": value
                for name, value in vars(self.last_record).items()
                if value is not None and name not in ("step", "phase")
            }
        )
