"""The sums of an objective's terms over the rows of one forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor

from unlearning.data.packing import IGNORED, Packs
from unlearning.models.token_values import Evaluate, token_values
from unlearning.objectives.base import Objective
from unlearning.objectives.rows import Reference, Rows
from unlearning.training.row_model import RowModel
from unlearning.training.row_tables import RowReference, RowTables
from unlearning.training.step_data import MicroBatch, Role

Values = Callable[[Tensor, Tensor, Reference], tuple[Tensor, Tensor]]


class BatchLosses:
    """Computes weighted sums of an objective's terms over the rows of a forward pass."""

    def __init__(self, model: RowModel, objective: Objective, tables: RowTables) -> None:
        self.model = model
        self.objective = objective
        self.tables = tables

    def sums(self, batch: MicroBatch) -> Tensor:
        """Return (4,): the sums of u F, u R, u CE of forget rows, and u CE of retain rows; see `Objective`.

        The first two have a gradient.
        """
        device = batch.row_tokens.device
        states = self.model.states(batch.packs, self.tables.layer_input(batch, device), self.tables.first_layer)
        units = self.objective.row_units(batch.row_tokens) * (batch.row_tokens > 0)
        objective = self.objective
        forget = self._rows(batch, Role.FORGET, states, objective.forget_values_and_nats)
        refusals = self._rows(batch, Role.REFUSAL, states, objective.forget_values_and_nats)
        retain = self._rows(batch, Role.RETAIN, states, objective.retain_values_and_nats)
        sums = [states.sum() * 0.0] * 4
        if forget is not None:
            own = units[batch.roles == Role.FORGET]
            sums[0] = (own * objective.bounded_forget_terms(forget, refusals)).sum()
            sums[2] = (own * forget.mean(forget.nats)).sum()
        if retain is not None:
            own = units[batch.roles == Role.RETAIN]
            sums[1] = (own * objective.retain_terms(retain)).sum()
            sums[3] = (own * retain.mean(retain.nats)).sum()
        return torch.stack(sums)

    def _rows(self, batch: MicroBatch, role: Role, states: Tensor, values: Values) -> Rows | None:
        """Return the rows of one role, their tokens row after row; None where there are none."""
        chosen = (batch.roles == role).nonzero().squeeze(-1)
        if not len(chosen):
            return None
        owners, targets, order = _tokens_by_row(batch.packs, chosen)
        numbers = [batch.numbers[row] for row in chosen.tolist()]
        reference = self.tables.reference(numbers, states.device)
        evaluate = self._evaluate(values, targets, reference)
        found, nats = token_values(states[order], evaluate, self.model.vocabulary, self.model.head_is_frozen)
        reference_nats = self.tables.reference_nats(numbers, states.device) if role is not Role.RETAIN else None
        return Rows(found, nats, owners, len(chosen), reference_nats)

    def _evaluate(self, values: Values, targets: Tensor, reference: RowReference) -> Evaluate:
        def evaluate(states: Tensor, part: slice) -> tuple[Tensor, Tensor]:
            return values(self.model.outputs(states), targets[part], reference.at(part, self.model))

        return evaluate


def _tokens_by_row(packs: Packs, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the supervised tokens of the chosen rows, row after row, as three tensors (N,).

    They are the token's row (0 to R - 1), its target, and its position among all supervised tokens of the packs.
    """
    wanted = packs.targets != IGNORED
    owners, targets = packs.rows[wanted], packs.targets[wanted]
    new_number = torch.full((int(owners.max()) + 1,), len(chosen), dtype=torch.long, device=owners.device)
    new_number[chosen] = torch.arange(len(chosen), device=owners.device)
    renumbered = new_number[owners]
    order = torch.argsort(renumbered, stable=True)[: int((renumbered < len(chosen)).sum())]
    return renumbered[order], targets[order], order
