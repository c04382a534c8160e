"""What is computed once a row, before training: what the model said before unlearning, and what frozen layers give.

There is no second model: both are tables of tensors on the CPU, made by the model itself before its first step, in an
order that does not depend on where a run was interrupted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unlearning.data.packing import IGNORED, build_packs, first_fit, lay_out, supervised_tokens
from unlearning.errors import InputError
from unlearning.objectives.base import Objective
from unlearning.objectives.divergences import cross_entropy
from unlearning.objectives.rows import Reference, ReferenceKind
from unlearning.schedules.plan import PlanStep
from unlearning.training.row_model import RowModel, first_trained_layer
from unlearning.training.steps import MicroBatch, Role, RowBook, StepLayout

GIB = 2**30


@dataclass
class RowTables:
    """Tensors of rows, by their numbers in the run's `RowBook`."""

    first_layer: int = 0
    """The first layer that is run for rows in `prefix`."""
    prefix: dict[int, Tensor] = field(default_factory=dict)
    """(T, width): what layer first_layer - 1 gives."""
    nats: dict[int, Tensor] = field(default_factory=dict)
    """(n,) cross-entropy of the row's n supervised tokens before unlearning."""
    states: dict[int, Tensor] = field(default_factory=dict)
    """(n, width) what logits were made of before unlearning; (n, V) logits where the output projection moves."""
    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """In place of `states`, ids and log-probabilities (n, k) of the likeliest tokens."""
    projected: bool = False
    """Whether `states` still have to be projected."""

    def entering(self, batch: MicroBatch, device: torch.device) -> Tensor | None:
        """(P, T, width) for a pass whose rows' frozen layers are known, else None. Padding is zero."""
        if not all(number in self.prefix for number in batch.numbers):
            return None
        some = self.prefix[batch.numbers[0]]
        entering = some.new_zeros((*batch.packs.input_ids.shape, some.shape[-1]))
        for pack, members in enumerate(batch.layout):
            start = 0
            for row in members:
                rows = self.prefix[batch.numbers[row]]
                entering[pack, start : start + len(rows)] = rows
                start += len(rows)
        return entering.to(device)

    def reference_nats(self, numbers: Sequence[int], device: torch.device) -> Tensor | None:
        """(N,) of these rows, one after the other; None where it was not asked for."""
        return torch.cat([self.nats[number] for number in numbers]).to(device) if self.nats else None

    def reference(self, numbers: Sequence[int], device: torch.device) -> "ReferenceRows":
        """What the model before unlearning made of these rows' positions, one row after the other."""
        if self.kept and numbers[0] in self.kept:
            pairs = [self.kept[number] for number in numbers]
            ids, logs = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])
            return ReferenceRows(None, (ids.to(device), logs.to(device)), False)
        if self.states and numbers[0] in self.states:
            states = torch.cat([self.states[number] for number in numbers]).to(device)
            return ReferenceRows(states, None, self.projected)
        return ReferenceRows(None, None, False)


@dataclass(frozen=True)
class ReferenceRows:
    """Of N positions, made ready a few at a time."""

    states: Tensor | None
    kept: tuple[Tensor, Tensor] | None
    projected: bool

    def at(self, part: slice, model: RowModel) -> Reference:
        """Of the positions of a slice."""
        if self.kept is not None:
            return Reference(kept=(self.kept[0][part], self.kept[1][part]))
        if self.states is None:
            return Reference()
        with torch.no_grad():
            states = self.states[part]
            return Reference(outputs=model.outputs(states) if self.projected else states)


def rows_worth_keeping(
    plan: Sequence[PlanStep], book: RowBook, layout: StepLayout, bytes_per_token: int, limit_bytes: float
) -> frozenset[int]:
    """Numbers of rows that a plan meets twice or more, in their order, until the limit is reached."""
    met: dict[int, int] = {}
    for step in plan:
        for number in _numbers(step, book, layout):
            met[number] = met.get(number, 0) + 1
    chosen, taken = [], 0.0
    for number in sorted(number for number, times in met.items() if times > 1):
        taken += len(book[number].input_ids) * bytes_per_token
        if taken > limit_bytes:
            break
        chosen.append(number)
    return frozenset(chosen)


def build_tables(
    model: RowModel,
    objective: Objective,
    plan: Sequence[PlanStep],
    book: RowBook,
    layout: StepLayout,
    limit_gib: float,
    say: Callable[[str], None],
) -> RowTables:
    """All that the objective and the layout ask for, by the model as it is now.

    Raises InputError where the reference would take more than `limit_gib`.
    """
    projected = model.head_is_frozen and model.layer is None
    tables = RowTables(first_layer=first_trained_layer(model.model), projected=projected)
    met = sorted({number for step in plan for number in _numbers(step, book, layout)})
    first_retain = book.number(Role.RETAIN, 0)
    kinds = {
        number: objective.retain_reference if number >= first_retain else objective.forget_reference for number in met
    }
    wanted = [number for number, kind in kinds.items() if kind is not ReferenceKind.none]
    _announce(model, objective, kinds, book, projected, limit_gib, say)
    was_training = model.model.training
    model.model.eval()
    with torch.no_grad():
        for batch in _batches(wanted, book, layout):
            _reference(tables, model, objective, kinds, batch)
        for batch in _batches(sorted(layout.apart), book, layout):
            _keep_prefix(tables, model, batch, book)
    model.model.train(was_training)
    return tables


def _numbers(step: PlanStep, book: RowBook, layout: StepLayout) -> Iterable[int]:
    if layout.uses_forget:
        yield from (book.number(Role.FORGET, row) for row in step.forget)
        if book.others:
            yield from (book.number(Role.OTHER, row) for row in step.forget)
    if layout.uses_retain:
        yield from (book.number(Role.RETAIN, row) for row in step.retain)


def _announce(
    model: RowModel,
    objective: Objective,
    kinds: Mapping[int, ReferenceKind],
    book: RowBook,
    projected: bool,
    limit_gib: float,
    say: Callable[[str], None],
) -> None:
    """Print the table's size, or refuse it. Hidden states are as the model is, logits float32 or better."""
    own = model.model.dtype.itemsize
    full = max(own, torch.float32.itemsize)
    width, top = model.model.config.get_text_config().hidden_size, objective.reference_top_k
    outputs = own * width if projected else full * model.vocabulary
    per_position = {
        ReferenceKind.none: 0,
        ReferenceKind.nats: full,
        ReferenceKind.outputs: (torch.int64.itemsize + full) * top if top else outputs,
    }
    size = sum(per_position[kind] * supervised_tokens(book[number]) for number, kind in kinds.items())
    if not size:
        return
    if size / GIB > limit_gib:
        raise InputError(
            f"trainer.reference_gib={limit_gib}: what the model says before unlearning takes {size / GIB:.1f} GiB; "
            "allow more, keep the output projection frozen, or set objective.reference_top_k"
        )
    rows = sum(kind is not ReferenceKind.none for kind in kinds.values())
    say(f"  reference of {rows} rows: {size / 2**20:.1f} MiB, no second model")


def _batches(numbers: Sequence[int], book: RowBook, layout: StepLayout) -> Iterable[MicroBatch]:
    packs = first_fit([len(book[number].input_ids) for number in numbers], layout.pack_tokens)
    for start in range(0, len(packs), layout.packs_per_forward):
        chosen = [numbers[index] for pack in packs[start : start + layout.packs_per_forward] for index in pack]
        encoded = [book[number] for number in chosen]
        own = lay_out([len(row.input_ids) for row in encoded], layout.pack_tokens)
        yield MicroBatch(
            packs=build_packs(encoded, own, layout.pad),
            roles=torch.zeros(len(chosen), dtype=torch.long),
            row_tokens=torch.ones(len(chosen)),
            numbers=tuple(chosen),
            layout=tuple(map(tuple, own)),
        )


def _reference(
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
        # A few rows' logits at a time: one row's, which is never more than the longest row.
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


def _keep_prefix(tables: RowTables, model: RowModel, batch: MicroBatch, book: RowBook) -> None:
    hidden = model.after_layer(batch.packs.to(model.model.device), tables.first_layer - 1).cpu()
    for pack, members in enumerate(batch.layout):
        start = 0
        for row in members:
            length = len(book[batch.numbers[row]].input_ids)
            tables.prefix[batch.numbers[row]] = hidden[pack, start : start + length].clone()
            start += length
