"""What an objective makes of one forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor

from unlearning.data.packing import IGNORED, Packs
from unlearning.models.token_values import Evaluate, token_values
from unlearning.objectives.base import Objective
from unlearning.objectives.rows import Reference, Rows
from unlearning.training.row_model import RowModel
from unlearning.training.steps import MicroBatch, Role
from unlearning.training.tables import ReferenceRows, RowTables

Values = Callable[[Tensor, Tensor, Reference], tuple[Tensor, Tensor]]


class BatchTerms:
    """Weighted sums of an objective's terms over the rows of a forward pass."""

    def __init__(self, model: RowModel, objective: Objective, tables: RowTables) -> None:
        self.model = model
        self.objective = objective
        self.tables = tables

    def of(self, batch: MicroBatch) -> Tensor:
        """(4,): sums of u F, u R, u CE of forget rows, u CE of retain rows; the first two with gradient."""
        device = batch.row_tokens.device
        states = self.model.states(batch.packs, self.tables.entering(batch, device), self.tables.first_layer)
        units = self.objective.row_units(batch.row_tokens) * (batch.row_tokens > 0)
        objective = self.objective
        forget = self._rows(batch, Role.FORGET, states, objective.forget_values_and_nats)
        others = self._rows(batch, Role.OTHER, states, objective.forget_values_and_nats)
        retain = self._rows(batch, Role.RETAIN, states, objective.retain_values_and_nats)
        sums = [states.sum() * 0.0] * 4
        if forget is not None:
            own = units[batch.roles == Role.FORGET]
            sums[0] = (own * objective.bounded_forget_terms(forget, others)).sum()
            sums[2] = (own * forget.mean(forget.nats)).sum()
        if retain is not None:
            own = units[batch.roles == Role.RETAIN]
            sums[1] = (own * objective.retain_terms(retain)).sum()
            sums[3] = (own * retain.mean(retain.nats)).sum()
        return torch.stack(sums)

    def _rows(self, batch: MicroBatch, role: Role, states: Tensor, values: Values) -> Rows | None:
        """The rows of one role, their positions row after row; None where there are none."""
        chosen = (batch.roles == role).nonzero().squeeze(-1)
        if not len(chosen):
            return None
        owners, targets, order = _by_row(batch.packs, chosen)
        numbers = [batch.numbers[row] for row in chosen.tolist()]
        reference = self.tables.reference(numbers, states.device)
        evaluate = self._evaluate(values, targets, reference)
        found, nats = token_values(states[order], evaluate, self.model.vocabulary, self.model.head_is_frozen)
        reference_nats = self.tables.reference_nats(numbers, states.device) if role is not Role.RETAIN else None
        return Rows(found, nats, owners, len(chosen), reference_nats)

    def _evaluate(self, values: Values, targets: Tensor, reference: ReferenceRows) -> Evaluate:
        def evaluate(states: Tensor, part: slice) -> tuple[Tensor, Tensor]:
            return values(self.model.outputs(states), targets[part], reference.at(part, self.model))

        return evaluate


def _by_row(packs: Packs, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the chosen rows' supervised positions, row after row: owner (0 to R - 1), target, place among all supervised.

    Each (N,).
    """
    wanted = packs.targets != IGNORED
    owners, targets = packs.rows[wanted], packs.targets[wanted]
    new_number = torch.full((int(owners.max()) + 1,), len(chosen), dtype=torch.long, device=owners.device)
    new_number[chosen] = torch.arange(len(chosen), device=owners.device)
    renumbered = new_number[owners]
    order = torch.argsort(renumbered, stable=True)[: int((renumbered < len(chosen)).sum())]
    return renumbered[order], targets[order], order
