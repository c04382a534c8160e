"""Fills the tables of a run by the model as it is before training.

The order of the rows does not depend on where a run was interrupted, so a resumed run has the same tables.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from unlearning.data.packing import IGNORED, build_packs
from unlearning.objectives.base import Objective
from unlearning.objectives.divergences import cross_entropy
from unlearning.objectives.rows import ReferenceKind
from unlearning.progress.shown import shown_progress
from unlearning.schedules.plan import PlanStep
from unlearning.training.row_model import RowModel, first_trained_layer
from unlearning.training.row_tables import RowTables
from unlearning.training.step_data import MicroBatch, StepLayout, TrainingRows
from unlearning.training.table_sizes import ReferenceSize, reference_kinds, reference_size


def build_tables(
    model: RowModel,
    objective: Objective,
    plan: Sequence[PlanStep],
    rows: TrainingRows,
    layout: StepLayout,
    limit_gib: float,
    say: Callable[[str], None],
) -> RowTables:
    """Return all that the objective and the layout need of the model as it is now.

    Raises InputError where the reference would take more than `limit_gib`.
    """
    projected = model.head_is_frozen and model.layer is None
    tables = RowTables(first_layer=first_trained_layer(model.model), projected=projected)
    kinds = reference_kinds(objective, plan, rows, layout)
    wanted = [number for number, kind in kinds.items() if kind is not ReferenceKind.none]
    _announce_size(reference_size(model.model, objective, kinds, rows), limit_gib, say)
    was_training = model.model.training
    model.model.eval()
    with torch.no_grad(), shown_progress("rows before training", len(wanted) + len(layout.prefix_rows)) as advance:
        for batch in _batches(wanted, rows, layout):
            _add_reference(tables, model, objective, kinds, batch)
            advance(len(batch.numbers))
        for batch in _batches(sorted(layout.prefix_rows), rows, layout):
            _add_prefix(tables, model, batch, rows)
            advance(len(batch.numbers))
    model.model.train(was_training)
    return tables


def _announce_size(size: ReferenceSize, limit_gib: float, say: Callable[[str], None]) -> None:
    """Print the size of the reference, or refuse it."""
    if size.bytes:
        size.require_at_most(limit_gib)
        say(f"  reference of {size.rows} rows: {size.bytes / 2**20:.1f} MiB, no second model")


def _batches(numbers: Sequence[int], rows: TrainingRows, layout: StepLayout) -> Iterable[MicroBatch]:
    for indices in layout.passes([[len(rows[number].input_ids)] for number in numbers]):
        chosen = [numbers[index] for index in indices]
        encoded = [rows[number] for number in chosen]
        own = layout.packs_of([len(row.input_ids) for row in encoded])
        yield MicroBatch(
            packs=build_packs(encoded, own, layout.pad),
            roles=torch.zeros(len(chosen), dtype=torch.long),
            row_tokens=torch.ones(len(chosen)),
            numbers=tuple(chosen),
            layout=tuple(map(tuple, own)),
        )


def _add_reference(
    tables: RowTables,
    model: RowModel,
    objective: Objective,
    kinds: Mapping[int, ReferenceKind],
    batch: MicroBatch,
) -> None:
    packs = batch.packs.to(model.model.device)
    states = model.states(packs, None, 0)
    wanted = packs.targets != IGNORED
    owners, targets = packs.rows[wanted], packs.targets[wanted]
    for row, number in enumerate(batch.numbers):
        own = owners == row
        # Logits are made of one row at a time, so that they never take more memory than the longest row needs.
        if kinds[number] is ReferenceKind.nats:
            tables.nats[number] = cross_entropy(model.outputs(states[own]), targets[own]).cpu()
        elif objective.reference_top_k:
            logs = model.outputs(states[own]).log_softmax(-1)
            top = logs.topk(min(objective.reference_top_k, logs.shape[-1]), dim=-1)
            tables.kept[number] = (top.indices.cpu(), top.values.cpu())
        elif tables.projected:
            tables.states[number] = states[own].cpu()
        else:
            tables.states[number] = model.outputs(states[own]).cpu()


def _add_prefix(tables: RowTables, model: RowModel, batch: MicroBatch, rows: TrainingRows) -> None:
    hidden = model.after_layer(batch.packs.to(model.model.device), tables.first_layer - 1).cpu()
    for pack, members in enumerate(batch.layout):
        start = 0
        for row in members:
            length = len(rows[batch.numbers[row]].input_ids)
            tables.prefix[batch.numbers[row]] = hidden[pack, start : start + length].clone()
            start += length
