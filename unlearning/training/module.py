"""The LightningModule: an objective on a model, one plan step at a time."""

import math
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from unlearning.config.objective_choices import Reduction
from unlearning.config.optimizer import Accumulation, OptimizerConfig
from unlearning.objectives.base import Objective
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.gradients import add_gradients, moved_uphill, put_gradients_aside
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
        sam_radius: float = 0.0,
    ) -> None:
        """`prepare` is called once before the first step, with the model as it starts, on its device.

        With `sam_radius`, which takes steps whose sets are apart (`layout_of`), forget gradients are those uphill.
        """
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.optimizer_config = optimizer
        self.prepare = prepare
        self.sam_radius = sam_radius
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
        if self.sam_radius:
            losses = self._backward_sharp(data, share, first_epoch)
        else:
            losses = [self._backward(part, share, data.index, first_epoch) for part in data.parts]
        norm = self._clip(data.index)
        optimizer.step()
        self._record(data, rate, losses, norm)

    def _backward(self, part: StepPart, share: float, index: int, first_epoch: bool) -> PartLosses:
        """Add the gradient of a part's loss, times `share`."""
        if self.objective.retain_first:
            sums, weights = self._retain_rows(part, share, first_epoch)
            sums = sums + self._forget_rows(part, share, weights)
        else:
            weights = self.objective.weights(None, first_epoch)
            by_forget, by_retain = self._denominators(part, share)
            sums = self._accumulate(part.rest, weights[0] * by_forget, weights[1] * by_retain)
        self._observe(part, sums, first_epoch)
        return self._losses(part, share, index, sums, weights)

    def _backward_sharp(self, data: StepData, share: float, first_epoch: bool) -> list[PartLosses]:
        """Add the gradients of all parts: of forget rows at the weights `moved_uphill`, of retain rows where they are.

        The losses are those at the weights where they are.
        """
        parts, retain_sums, weights = data.parts, [], []
        for part in parts:
            sums, own = self._retain_rows(part, share, first_epoch)
            self._observe(part, sums, first_epoch)
            retain_sums.append(sums)
            weights.append(own)
        of_retain_rows = put_gradients_aside(self.trainable())
        forget_sums = [self._forget_rows(part, share, own) for part, own in zip(parts, weights, strict=True)]
        with moved_uphill(self.trainable(), self.sam_radius):
            for part, own in zip(parts, weights, strict=True):
                self._forget_rows(part, share, own)
        add_gradients(of_retain_rows)
        sums_of_parts = zip(parts, retain_sums, forget_sums, weights, strict=True)
        return [self._losses(part, share, data.index, one + other, own) for part, one, other, own in sums_of_parts]

    def _denominators(self, part: StepPart, share: float) -> tuple[float, float]:
        """Return share / D of forget and of retain rows."""
        forget, retain = self.objective.denominators(part.forget_size, part.retain_size)
        return share / forget, share / retain

    def _forget_rows(self, part: StepPart, share: float, weights: tuple[float, float]) -> Tensor:
        """Add the gradient of a part's forget rows, where its retain rows are apart. Returns their sums."""
        return self._accumulate(part.rest, weights[0] * self._denominators(part, share)[0], 0.0)

    def _retain_rows(self, part: StepPart, share: float, first_epoch: bool) -> tuple[Tensor, tuple[float, float]]:
        """Add the gradient of a part's retain rows, which its weights may depend on. Returns their sums, and these."""
        objective, by_retain = self.objective, self._denominators(part, share)[1]
        if not objective.retain_first:
            weights = objective.weights(None, first_epoch)
            return self._accumulate(part.retain_first, 0.0, weights[1] * by_retain), weights
        earlier = put_gradients_aside(self.trainable())
        sums = self._accumulate(part.retain_first, 0.0, by_retain)
        weights = objective.weights(self._mean(sums[3], part, False), first_epoch)
        # The retain gradient was taken with weight 1, before its weight was known; scaling it now is exact.
        gradients = [parameter.grad for parameter in self.trainable() if parameter.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, weights[1])
        add_gradients(earlier)
        return sums, weights

    def _nats(self, part: StepPart, sums: Tensor) -> tuple[float | None, float | None]:
        """Return the mean cross-entropies of the part's forget and retain rows; None where they are not known."""
        if self.objective.layer is not None:
            return None, None
        return self._mean(sums[2], part, True), self._mean(sums[3], part, False)

    def _observe(self, part: StepPart, sums: Tensor, first_epoch: bool) -> None:
        self.objective.observe(self._nats(part, sums)[1], part.retain_size.rows, first_epoch)

    def _losses(
        self, part: StepPart, share: float, index: int, sums: Tensor, weights: tuple[float, float]
    ) -> PartLosses:
        """Return the part's losses. Raises InputError where one is not a finite number."""
        forget, retain = self._nats(part, sums)
        by_forget, by_retain = self._denominators(part, share)
        loss = float(weights[0] * by_forget * sums[0] + weights[1] * by_retain * sums[1])
        self._require_finite(index, forget_loss=forget, retain_loss=retain, loss=loss)
        return PartLosses(forget, retain, weights[1], loss)

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
