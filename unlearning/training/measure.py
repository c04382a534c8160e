"""Losses on the same few rows of both sets, whenever they are asked for."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unlearning.config.objective import Reduction
from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.objectives.base import SetSize
from unlearning.objectives.finetune import Finetune
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_terms import BatchTerms
from unlearning.training.module import UnlearningModule
from unlearning.training.plan_data import PlanDataModule
from unlearning.training.row_model import RowModel
from unlearning.training.steps import RowBook, StepData, StepDataset, StepLayout, StepPart
from unlearning.training.tables import RowTables
from unlearning.training.verdicts import Check


def rows_looked_at(forget_rows: int, retain_rows: int, config: StoppingConfig) -> PlanStep:
    """Of sets of these sizes, as if they were a step."""
    forget, retain = spread(forget_rows, config.check_rows), spread(retain_rows, config.check_rows)
    size = config.check_part_rows
    if size is None:
        return PlanStep(0, 0, 1, 0, forget, retain)
    parts = [(min(size, len(forget) - start), 0) for start in range(0, len(forget), size)]
    parts += [(0, min(size, len(retain) - start)) for start in range(0, len(retain), size)]
    return PlanStep(0, 0, 1, 0, forget, retain, tuple(parts))


def spread(rows: int, count: int) -> tuple[int, ...]:
    """`count` of 0 to rows - 1 at even distances; all of them where there are no more."""
    count = min(rows, count)
    return tuple(index * rows // count for index in range(count))


class Measure:
    """Takes a `Check` of the model in training, without gradient or dropout, on all devices together."""

    def __init__(
        self, step: PlanStep, book: RowBook, own_answers: RowBook | None, layout: StepLayout, config: StoppingConfig
    ) -> None:
        """`own_answers`: the same rows with their own answers, where the objective trains others; None: `book`."""
        self.step, self.config = step, config
        self.book, self.own_answers = book, own_answers or book
        self.layout = replace(layout, retain_first=False)
        # Cross-entropies are wanted of both sets, whatever the objective looks at; what is known of rows is of `book`.
        apart = layout.apart if own_answers is None else frozenset[int]()
        self.own_layout = replace(self.layout, uses_forget=True, uses_retain=True, apart=apart)

    def take(self, module: UnlearningModule, step: int, in_first_epoch: bool, observe: bool) -> Check:
        """Look at the rows after `step` steps; with `observe`, tell the objective what was seen of retain rows."""
        assert module.terms is not None
        was_training = module.model.training
        module.model.eval()
        with torch.no_grad():
            own = self._data(module, self.own_answers, self.own_layout)
            sums = [_sums(module, self._cross_entropy(module.terms), part) for part in own.parts]
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

    def _data(self, module: UnlearningModule, book: RowBook, layout: StepLayout) -> StepData:
        trainer = module.trainer
        dataset = StepDataset([self.step], book, layout, 0, trainer.global_rank, trainer.world_size)
        return PlanDataModule(book, layout, [self.step], 0).transfer_batch_to_device(dataset.build(0), module.device, 0)

    def _cross_entropy(self, terms: BatchTerms) -> BatchTerms:
        """Terms whose sums of cross-entropies are those of the whole model, with what is known of frozen layers."""
        rows = terms.model if terms.model.layer is None else RowModel(terms.model.model, None)
        tables = terms.tables
        known = RowTables(first_layer=tables.first_layer, prefix=tables.prefix if self.own_answers is self.book else {})
        return BatchTerms(rows, Finetune(reduction=terms.objective.reduction), known)

    def _objective_loss(self, module: UnlearningModule, in_first_epoch: bool) -> float:
        """Mean over the parts of w_f F / D_f + w_r R / D_r; see `Objective`."""
        assert module.terms is not None
        objective, losses = module.objective, []
        for part in self._data(module, self.book, self.layout).parts:
            sums = _sums(module, module.terms, part)
            retain = _mean(sums[3:], [part.retain_size], objective.reduction) if objective.retain_first else None
            weights = objective.weights(retain, in_first_epoch)
            denominators = objective.denominators(part.forget_size, part.retain_size)
            losses.append(float(weights[0] * sums[0] / denominators[0] + weights[1] * sums[1] / denominators[1]))
        return sum(losses) / len(losses)


def _sums(module: UnlearningModule, terms: BatchTerms, part: StepPart) -> Tensor:
    """(4,) of `BatchTerms.of` over all devices' rows of a part."""
    sums = torch.zeros(4, device=module.device, dtype=torch.float64)
    for batch in part.rest:
        sums += terms.of(batch).double()
    if module.trainer.world_size > 1:
        torch.distributed.all_reduce(sums)
    return sums


def _mean(sums: Tensor, sizes: Sequence[SetSize], reduction: Reduction) -> float | None:
    units = sum(size.tokens if reduction is Reduction.token else size.rows for size in sizes)
    return float(sums.sum()) / units if units else None
