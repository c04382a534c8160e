"""The LightningModule: an objective on a model, one plan step at a time."""

import math
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from unlearning.config.objective import Reduction
from unlearning.config.optimizer import Accumulation, OptimizerConfig
from unlearning.objectives.base import Objective
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.learning_rate import learning_rate
from unlearning.training.step_data import MicroBatch, StepData, StepPart
from unlearning.training.step_record import PartLosses, StepRecord, mean_of_known
from unlearning.training.stopping_rules import DivergedError


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
        prepare: Callable[[], BatchLosses],
    ) -> None:
        """`prepare` is called once before the first step, with the model as it starts, on its device."""
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.optimizer_config = optimizer
        self.prepare = prepare
        self.losses: BatchLosses | None = None
        self.last_record: StepRecord | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW over the parameters that may move."""
        config = self.optimizer_config
        return torch.optim.AdamW(
            self.trainable(),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=True,  # takes a fourth of the time, and gives the same bits in each run
        )

    def trainable(self) -> list[nn.Parameter]:
        """Return the parameters that may move, in the model's order."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def training_step(self, data: StepData, batch_idx: int) -> None:  # noqa: ARG002
        """Make one optimiser step. Raises InputError where a loss is not a finite number."""
        if self.losses is None:
            self.losses = self.prepare()
        optimizer = self.optimizers()
        assert isinstance(optimizer, pl.core.optimizer.LightningOptimizer)
        if data.step.phase_step == 0:
            optimizer.state.clear()
        rate = learning_rate(self.optimizer_config, data.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        first_epoch = data.step.phase == 0 and data.step.epoch == 0
        share = 1.0 / len(data.parts) if self.optimizer_config.accumulation is Accumulation.mean else 1.0
        losses = [self._backward(part, share, data.index, first_epoch) for part in data.parts]
        norm = self._clip(data.index)
        optimizer.step()
        self._record(data, rate, losses, norm)

    def _backward(self, part: StepPart, share: float, index: int, first_epoch: bool) -> PartLosses:
        """Add the gradient of a part's loss, times `share`."""
        objective = self.objective
        by_forget, by_retain = (share / size for size in objective.denominators(part.forget_size, part.retain_size))
        if objective.retain_first:
            sums, weights = self._retain_rows_first(part, by_forget, by_retain, first_epoch)
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

    def _retain_rows_first(
        self, part: StepPart, by_forget: float, by_retain: float, first_epoch: bool
    ) -> tuple[Tensor, tuple[float, float]]:
        """Add the gradients of a part whose weights depend on its retain loss. Returns its sums and its weights."""
        objective = self.objective
        earlier = self._put_gradients_aside()
        sums = self._accumulate(part.retain_first, 0.0, by_retain)
        weights = objective.weights(self._mean(sums[3], part, False), first_epoch)
        # The retain gradient was taken with weight 1, before its weight was known; scaling it now is exact.
        gradients = [parameter.grad for parameter in self.trainable() if parameter.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, weights[1])
        self._add_gradients(earlier)
        return sums + self._accumulate(part.rest, weights[0] * by_forget, 0.0), weights

    def _put_gradients_aside(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Remove the gradients of the step's earlier parts from the parameters, and return them."""
        found = [(parameter, parameter.grad) for parameter in self.trainable() if parameter.grad is not None]
        for parameter, _ in found:
            parameter.grad = None
        return found

    def _add_gradients(self, earlier: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
        for parameter, gradient in earlier:
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

    def _accumulate(self, batches: Sequence[MicroBatch], by_forget: float, by_retain: float) -> Tensor:
        """Add the gradients of some forward passes. Returns `BatchLosses.sums` (4,) over all devices' rows."""
        assert self.losses is not None
        total = torch.zeros(4, device=self.device, dtype=torch.float64)
        world = self.trainer.world_size
        for batch in batches:
            sums = self.losses.sums(batch)
            loss = by_forget * sums[0] + by_retain * sums[1]
            if loss.requires_grad:
                # Devices average their gradients, while the denominators already count all devices' rows.
                self.manual_backward(loss * world)
            total += sums.detach().double()
        if world > 1:
            torch.distributed.all_reduce(total)
        return total

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
                raise DivergedError(f"training diverged at step {index}: {name.replace('_', ' ')} is {value}")

    def _record(self, data: StepData, rate: float, parts: Sequence[PartLosses], norm: float) -> None:
        self.last_record = StepRecord(
            step=data.index,
            phase=data.step.phase,
            lr=rate,
            forget_loss_nats=mean_of_known([part.forget_nats for part in parts]),
            retain_loss_nats=mean_of_known([part.retain_nats for part in parts]),
            retain_weight=sum(part.retain_weight for part in parts) / len(parts),
            loss=sum(part.loss for part in parts),
            gradient_norm=norm,
            tokens=data.tokens,
        )
        self._log(self.last_record)

    def _log(self, record: StepRecord) -> None:
        """Send the record to the loggers directly: `log_dict` copies each number several times, 3 ms a step."""
        named = {name: value for name, value in vars(record).items() if name not in ("step", "phase")}
        metrics = {f"train/{name}": value for name, value in named.items() if value is not None}
        if self.trainer.is_global_zero:
            for logger in self.loggers:
                logger.log_metrics(metrics, record.step)
