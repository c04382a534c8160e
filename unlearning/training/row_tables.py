"""Tensors that are computed once a row, before training: the outputs before unlearning, and those of frozen layers.

There is no second model: the model itself fills these tables on the CPU before its first step (see `build_tables`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference
from unlearning.training.row_model import RowModel
from unlearning.training.step_data import MicroBatch


@dataclass
class RowTables:
    """Tensors of rows, by their numbers in the run's `TrainingRows`."""

    first_layer: int = 0
    """The first layer that is run for the rows in `prefix`."""
    prefix: dict[int, Tensor] = field(default_factory=dict)
    """(T, width): the output of layer first_layer - 1."""
    nats: dict[int, Tensor] = field(default_factory=dict)
    """(n,) cross-entropies of the row's n supervised tokens before unlearning."""
    states: dict[int, Tensor] = field(default_factory=dict)
    """(n, width) hidden states before unlearning; (n, V) logits where the output projection is trained."""
    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """In place of `states`, ids and log-probabilities (n, k) of the likeliest tokens."""
    projected: bool = False
    """Whether `states` still have to be projected to logits."""

    def layer_input(self, batch: MicroBatch, device: torch.device) -> Tensor | None:
        """Return (P, T, width), the input of layer `first_layer`, where all rows have a prefix; else None.

        It is zero at padding.
        """
        if not all(number in self.prefix for number in batch.numbers):
            return None
        some = self.prefix[batch.numbers[0]]
        layer_input = some.new_zeros((*batch.packs.input_ids.shape, some.shape[-1]))
        for pack, members in enumerate(batch.layout):
            start = 0
            for row in members:
                output = self.prefix[batch.numbers[row]]
                layer_input[pack, start : start + len(output)] = output
                start += len(output)
        return layer_input.to(device)

    def reference_nats(self, numbers: Sequence[int], device: torch.device) -> Tensor | None:
        """Return (N,) cross-entropies of these rows, row after row; None where they were not asked for."""
        return torch.cat([self.nats[number] for number in numbers]).to(device) if self.nats else None

    def reference(self, numbers: Sequence[int], device: torch.device) -> "RowReference":
        """Return the outputs of the model before unlearning for these rows, row after row."""
        if self.kept and numbers[0] in self.kept:
            pairs = [self.kept[number] for number in numbers]
            ids, logs = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
            return RowReference(None, (ids.to(device), logs.to(device)), False)
        if self.states and numbers[0] in self.states:
            states = torch.cat([self.states[number] for number in numbers]).to(device)
            return RowReference(states, None, self.projected)
        return RowReference(None, None, False)


@dataclass(frozen=True)
class RowReference:
    """The stored outputs of the model before unlearning at N tokens; `at` turns a few at a time into a `Reference`."""

    states: Tensor | None
    kept: tuple[Tensor, Tensor] | None
    projected: bool

    def at(self, part: slice, model: RowModel) -> Reference:
        """Return the reference of the tokens of a slice."""
        if self.kept is not None:
            return Reference(kept=(self.kept[0][part], self.kept[1][part]))
        if self.states is None:
            return Reference()
        with torch.no_grad():
            states = self.states[part]
            return Reference(outputs=model.outputs(states) if self.projected else states)
