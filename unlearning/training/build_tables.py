"""Fills the tables of a run by the model as it is before training.

The order of the rows does not depend on where a run was interrupted, so a resumed run has the same tables.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from unlearning.data.packing import IGNORED, build_packs, supervised_tokens
from unlearning.errors import InputError
from unlearning.objectives.base import Objective
from unlearning.objectives.divergences import cross_entropy
from unlearning.objectives.rows import ReferenceKind
from unlearning.schedules.plan import PlanStep
from unlearning.training.row_model import RowModel, first_trained_layer
from unlearning.training.row_tables import RowTables
from unlearning.training.step_data import MicroBatch, Role, StepLayout, TrainingRows

GIB = 2**30


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
    met = sorted({number for step in plan for number in row_numbers(step, rows, layout)})
    first_retain = rows.number(Role.RETAIN, 0)
    kinds = {
        number: objective.retain_reference if number >= first_retain else objective.forget_reference for number in met
    }
    wanted = [number for number, kind in kinds.items() if kind is not ReferenceKind.none]
    _announce_size(model, objective, kinds, rows, projected, limit_gib, say)
    was_training = model.model.training
    model.model.eval()
    with torch.no_grad():
        for batch in _batches(wanted, rows, layout):
            _add_reference(tables, model, objective, kinds, batch)
        for batch in _batches(sorted(layout.prefix_rows), rows, layout):
            _add_prefix(tables, model, batch, rows)
    model.model.train(was_training)
    return tables


def rows_worth_keeping(
    plan: Sequence[PlanStep], rows: TrainingRows, layout: StepLayout, bytes_per_token: int, limit_bytes: float
) -> frozenset[int]:
    """Return the numbers of the rows that a plan uses twice or more, in their order, until the limit is reached."""
    uses: dict[int, int] = {}
    for step in plan:
        for number in row_numbers(step, rows, layout):
            uses[number] = uses.get(number, 0) + 1
    chosen, taken = [], 0.0
    for number in sorted(number for number, times in uses.items() if times > 1):
        taken += len(rows[number].input_ids) * bytes_per_token
        if taken > limit_bytes:
            break
        chosen.append(number)
    return frozenset(chosen)


def row_numbers(step: PlanStep, rows: TrainingRows, layout: StepLayout) -> Iterable[int]:
    """Yield the numbers of the rows that a step uses."""
    if layout.uses_forget:
        yield from (rows.number(Role.FORGET, row) for row in step.forget)
        if rows.refusals:
            yield from (rows.number(Role.REFUSAL, row) for row in step.forget)
    if layout.uses_retain:
        yield from (rows.number(Role.RETAIN, row) for row in step.retain)


def _announce_size(
    model: RowModel,
    objective: Objective,
    kinds: Mapping[int, ReferenceKind],
    rows: TrainingRows,
    projected: bool,
    limit_gib: float,
    say: Callable[[str], None],
) -> None:
    """Print the size of the reference, or refuse it. Hidden states have the model's type, logits at least float32."""
    own = model.model.dtype.itemsize
    full = max(own, torch.float32.itemsize)
    width, top = model.model.config.get_text_config().hidden_size, objective.reference_top_k
    outputs = own * width if projected else full * model.vocabulary
    bytes_per_token = {
        ReferenceKind.none: 0,
        ReferenceKind.nats: full,
        ReferenceKind.outputs: (torch.int64.itemsize + full) * top if top else outputs,
    }
    size = sum(bytes_per_token[kind] * supervised_tokens(rows[number]) for number, kind in kinds.items())
    if not size:
        return
    if size / GIB > limit_gib:
        enough = f"trainer.reference_gib={math.ceil(100 * size / GIB) / 100:g}"
        # Of outputs over the vocabulary the likeliest tokens can be kept alone: as many as there is room for.
        tokens = sum(supervised_tokens(rows[number]) for number, kind in kinds.items() if kind is ReferenceKind.outputs)
        rest = limit_gib * GIB - size + bytes_per_token[ReferenceKind.outputs] * tokens
        room = int(rest / (tokens * (torch.int64.itemsize + full))) if tokens and model.layer is None else 0
        raise InputError(
            f"trainer.reference_gib={limit_gib:g}: what the model says before unlearning takes more; set "
            f"{enough}{f' or objective.reference_top_k={room}' if room >= 2 else ''}"
        )
    count = sum(kind is not ReferenceKind.none for kind in kinds.values())
    say(f"  reference of {count} rows: {size / 2**20:.1f} MiB, no second model")


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
