"""Losses on the same few rows of both sets, whenever they are asked for."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unlearning.config.objective_choices import Reduction
from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.objectives.base import SetSize
from unlearning.objectives.finetune import Finetune
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.data_module import PlanDataModule
from unlearning.training.module import UnlearningModule
from unlearning.training.row_model import RowModel
from unlearning.training.row_tables import RowTables
from unlearning.training.step_data import StepData, StepLayout, StepPart, TrainingRows
from unlearning.training.step_dataset import StepDataset
from unlearning.training.stopping_rules import Check


def rows_to_check(forget_rows: int, retain_rows: int, config: StoppingConfig) -> PlanStep:
    """Return the rows that checks use, as if they were one step; the arguments are the sizes of the sets."""
    forget, retain = evenly_spread(forget_rows, config.check_rows), evenly_spread(retain_rows, config.check_rows)
    size = config.check_part_rows
    if size is None:
        return PlanStep(0, 0, 1, 0, forget, retain)
    of_forget = [True] * len(forget) + [False] * len(retain)
    batches = [of_forget[start : start + size] for start in range(0, len(of_forget), size)]
    parts = tuple((sum(batch), len(batch) - sum(batch)) for batch in batches)
    return PlanStep(0, 0, 1, 0, forget, retain, parts)


def evenly_spread(rows: int, count: int) -> tuple[int, ...]:
    """Return `count` of the numbers 0 to rows - 1, at even distances; all of them where there are no more."""
    count = min(rows, count)
    return tuple(index * rows // count for index in range(count))


class Checker:
    """Checks the model in training, without gradient or dropout, on all devices together."""

    def __init__(
        self,
        step: PlanStep,
        rows: TrainingRows,
        own_answers: TrainingRows | None,
        layout: StepLayout,
        config: StoppingConfig,
    ) -> None:
        """`own_answers`: the same rows with their own answers, where `rows` have other ones; None: `rows`."""
        self.step, self.config = step, config
        self.rows, self.own_answers = rows, own_answers or rows
        self.layout = replace(layout, retain_first=False)
        # Cross-entropies are computed for both sets, whatever the objective uses; prefixes exist for `rows` alone.
        prefix_rows = layout.prefix_rows if own_answers is None else frozenset[int]()
        self.own_layout = replace(self.layout, uses_forget=True, uses_retain=True, prefix_rows=prefix_rows)

    def check(self, module: UnlearningModule, step: int, in_first_epoch: bool, observe: bool) -> Check:
        """Return the losses after `step` steps; with `observe`, tell the objective those of the retain rows."""
        assert module.losses is not None
        was_training = module.model.training
        module.model.eval()
        with torch.no_grad():
            own = self._data(module, self.own_answers, self.own_layout)
            sums = [_sums(module, self._cross_entropy(module.losses), part) for part in own.parts]
            loss = None
            if self.config.best_by is BestBy.objective:
                loss = self._objective_loss(module, in_first_epoch)
        module.model.train(was_training)
        reduction = module.objective.reduction
        if observe:
            for part, found in zip(own.parts, sums, strict=True):
                if part.retain_size.rows:
                    retain = _mean(found[3:], [part.retain_size], reduction)
                    module.objective.observe(retain, part.retain_size.rows, in_first_epoch)
        total = torch.stack(sums).sum(0)
        return Check(
            step=step,
            forget_loss_nats=_mean(total[2:3], [part.forget_size for part in own.parts], reduction),
            retain_loss_nats=_mean(total[3:], [part.retain_size for part in own.parts], reduction),
            loss=loss,
        )

    def _data(self, module: UnlearningModule, rows: TrainingRows, layout: StepLayout) -> StepData:
        trainer = module.trainer
        dataset = StepDataset([self.step], rows, layout, 0, trainer.global_rank, trainer.world_size)
        return PlanDataModule(rows, layout, [self.step], 0).transfer_batch_to_device(dataset.build(0), module.device, 0)

    def _cross_entropy(self, losses: BatchLosses) -> BatchLosses:
        """Return losses whose cross-entropies are those of the whole model, computed with the prefixes that exist."""
        model = losses.model if losses.model.layer is None else RowModel(losses.model.model, None)
        prefix = losses.tables.prefix if self.own_layout.prefix_rows else {}
        tables = RowTables(first_layer=losses.tables.first_layer, prefix=prefix)
        return BatchLosses(model, Finetune(reduction=losses.objective.reduction), tables)

    def _objective_loss(self, module: UnlearningModule, in_first_epoch: bool) -> float:
        """Return the mean over the parts, by their numbers of rows, of w_f F / D_f + w_r R / D_r; see `Objective`."""
        assert module.losses is not None
        objective, total, rows = module.objective, 0.0, 0
        for part in self._data(module, self.rows, self.layout).parts:
            sums = _sums(module, module.losses, part)
            retain = _mean(sums[3:], [part.retain_size], objective.reduction) if objective.retain_first else None
            weights = objective.weights(retain, in_first_epoch)
            denominators = objective.denominators(part.forget_size, part.retain_size)
            loss = float(weights[0] * sums[0] / denominators[0] + weights[1] * sums[1] / denominators[1])
            own = part.forget_size.rows + part.retain_size.rows
            total, rows = total + own * loss, rows + own
        return total / max(rows, 1)


def _sums(module: UnlearningModule, losses: BatchLosses, part: StepPart) -> Tensor:
    """Return `BatchLosses.sums` (4,) over all devices' rows of a part."""
    sums = torch.zeros(4, device=module.device, dtype=torch.float64)
    for batch in part.rest:
        sums += losses.sums(batch).double()
    if module.trainer.world_size > 1:
        torch.distributed.all_reduce(sums)
    return sums


def _mean(sums: Tensor, sizes: Sequence[SetSize], reduction: Reduction) -> float | None:
    units = sum(size.tokens if reduction is Reduction.token else size.rows for size in sizes)
    return float(sums.sum()) / units if units else None
