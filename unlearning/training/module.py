"""The LightningModule: an objective on a model, one plan step at a time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from unlearning.config.objective import Reduction
from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.errors import InputError
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_terms import BatchTerms
from unlearning.training.steps import MicroBatch, StepData, StepPart


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
    lr = config.lr * step.lr_factor
    if step.phase_step < config.warmup_steps:
        return lr * step.phase_step / max(1, config.warmup_steps)
    if config.decay is Decay.constant:
        return lr
    left = (step.phase_steps - step.phase_step) / max(1, step.phase_steps - config.warmup_steps)
    return lr * max(0.0, left)


@dataclass(frozen=True)
class PartLosses:
    """Of one part of a step, over all devices."""

    forget_nats: float | None
    """Mean cross-entropy of its forget rows; None without any, and where the objective looks at hidden states."""
    retain_nats: float | None
    retain_weight: float
    loss: float
    """Its share of the step's loss."""


class UnlearningModule(pl.LightningModule):
    """Minimises an objective over the steps of a plan.

    Optimisation is manual because a step may consist of several forward passes whose weights are known only after the
    first ones, and because a chunk starts with a fresh optimiser.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: OptimizerConfig,
        prepare: Callable[[], BatchTerms],
    ) -> None:
        """`prepare` is called before the first step, with the model as it starts, on its device."""
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.optimizer_config = optimizer
        self.prepare = prepare
        self.terms: BatchTerms | None = None
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
            fused=True,  # a fourth of the time, and bit for bit the same from run to run
        )

    def trainable(self) -> list[nn.Parameter]:
        """Parameters that may move, in the model's order."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def training_step(self, data: StepData, batch_idx: int) -> None:  # noqa: ARG002
        """One optimiser step. Raises InputError where a loss is not a number any more."""
        if self.terms is None:
            self.terms = self.prepare()
        optimizer = self.optimizers()
        assert isinstance(optimizer, pl.core.optimizer.LightningOptimizer)
        if data.step.phase_step == 0:
            optimizer.state.clear()
        rate = learning_rate(self.optimizer_config, data.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        first_epoch = data.step.phase == 0 and data.step.epoch == 0
        sums = [self._backward(part, 1.0 / len(data.parts), data.index, first_epoch) for part in data.parts]
        norm = self._clip(data.index)
        optimizer.step()
        self._finish(data, rate, sums, norm)

    def _backward(self, part: StepPart, share: float, index: int, first_epoch: bool) -> PartLosses:
        """Add `share` of the gradient of a part's loss."""
        objective = self.objective
        by_forget, by_retain = (share / size for size in objective.denominators(part.forget_size, part.retain_size))
        if objective.retain_first:
            earlier = self._put_gradients_aside()
            sums = self._accumulate(part.retain_first, 0.0, by_retain)
            weights = objective.weights(self._mean(sums[3], part, False), first_epoch)
            # The retain gradient was taken at weight 1, before its weight was known; scaling it now is exact.
            gradients = [parameter.grad for parameter in self.trainable() if parameter.grad is not None]
            if gradients:
                torch._foreach_mul_(gradients, weights[1])
            self._add_gradients(earlier)
            sums = sums + self._accumulate(part.rest, weights[0] * by_forget, 0.0)
        else:
            weights = objective.weights(None, first_epoch)
            sums = self._accumulate(part.rest, weights[0] * by_forget, weights[1] * by_retain)
        has_nats = objective.layer is None
        forget = self._mean(sums[2], part, True) if has_nats else None
        retain = self._mean(sums[3], part, False) if has_nats else None
        objective.observe(retain, part.retain_size.rows, first_epoch)
        loss = float(weights[0] * by_forget * sums[0] + weights[1] * by_retain * sums[1])
        self._require_finite(index, forget_loss=forget, retain_loss=retain, loss=loss)
        return PartLosses(forget, retain, weights[1], loss)

    def _put_gradients_aside(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Those of a step's earlier parts."""
        found = [(parameter, parameter.grad) for parameter in self.trainable() if parameter.grad is not None]
        for parameter, _ in found:
            parameter.grad = None
        return found

    def _add_gradients(self, earlier: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
        for parameter, gradient in earlier:
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

    def _accumulate(self, batches: Sequence[MicroBatch], by_forget: float, by_retain: float) -> Tensor:
        """Add the gradients of some forward passes.

        Returns the sums over all devices' rows of u F, u R, u CE of forget rows and u CE of retain rows.
        """
        assert self.terms is not None
        sums = torch.zeros(4, device=self.device, dtype=torch.float64)
        world = self.trainer.world_size
        for batch in batches:
            terms = self.terms.of(batch)
            loss = by_forget * terms[0] + by_retain * terms[1]
            if loss.requires_grad:
                # Devices average their gradients, while the denominators already count all devices' rows.
                self.manual_backward(loss * world)
            sums += terms.detach().double()
        if world > 1:
            torch.distributed.all_reduce(sums)
        return sums

    def _mean(self, total: Tensor, part: StepPart, forget: bool) -> float | None:
        size = part.forget_size if forget else part.retain_size
        units = size.tokens if self.objective.reduction is Reduction.token else size.rows
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

    def _finish(self, data: StepData, rate: float, parts: Sequence[PartLosses], norm: float) -> None:
        self.last_record = StepRecord(
            step=data.index,
            phase=data.step.phase,
            lr=rate,
            forget_loss_nats=_mean_of([part.forget_nats for part in parts]),
            retain_loss_nats=_mean_of([part.retain_nats for part in parts]),
            retain_weight=sum(part.retain_weight for part in parts) / len(parts),
            loss=sum(part.loss for part in parts),
            gradient_norm=norm,
            tokens=data.tokens,
        )
        self._log(self.last_record)

    def _log(self, record: StepRecord) -> None:
        """To the loggers themselves: `log_dict` copies each number several times, 3 ms a step that nothing reads."""
        named = {name: value for name, value in vars(record).items() if name not in ("step", "phase")}
        metrics = {f"train/{name}": value for name, value in named.items() if value is not None}
        if self.trainer.is_global_zero:
            for logger in self.loggers:
                logger.log_metrics(metrics, record.step)


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
