"""How large the tables of a run are: known of rows, plan and shape of the model before anything is computed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from unlearning.data.packing import supervised_tokens
from unlearning.errors import InputError
from unlearning.objectives.base import Objective
from unlearning.objectives.rows import ReferenceKind
from unlearning.schedules.plan import PlanStep
from unlearning.training.row_model import head_is_frozen, outputs_width
from unlearning.training.step_data import Role, StepLayout, TrainingRows

GIB = 2**30


@dataclass(frozen=True)
class ReferenceSize:
    """How much memory what the model says before unlearning takes."""

    rows: int
    bytes: int
    outputs_bytes: int
    """Bytes of it that are outputs over the vocabulary, of which the likeliest tokens alone may be kept; else 0."""
    outputs_tokens: int
    """Tokens with such outputs."""
    token_bytes: int
    """Bytes of one likely token and its log-probability."""

    def require_at_most(self, limit_gib: float) -> None:
        """Raise InputError, with values that are enough, where the reference takes more than so many GiB."""
        if self.bytes / GIB <= limit_gib:
            return
        enough = f"trainer.reference_gib={math.ceil(100 * self.bytes / GIB) / 100:g}"
        # Of outputs over the vocabulary the likeliest tokens can be kept alone: as many as there is room for.
        rest = limit_gib * GIB - self.bytes + self.outputs_bytes
        room = int(rest / (self.outputs_tokens * self.token_bytes)) if self.outputs_tokens else 0
        raise InputError(
            f"trainer.reference_gib={limit_gib:g}: what the model says before unlearning takes more; set "
            f"{enough}{f' or objective.reference_top_k={room}' if room >= 2 else ''}"
        )


def reference_kinds(
    objective: Objective, plan: Sequence[PlanStep], rows: TrainingRows, layout: StepLayout
) -> dict[int, ReferenceKind]:
    """Return what each row that a plan uses needs of the model before unlearning, by the rows' numbers, in order."""
    first_retain = rows.number(Role.RETAIN, 0)
    met = sorted({number for step in plan for number in row_numbers(step, rows, layout)})
    return {
        number: objective.retain_reference if number >= first_retain else objective.forget_reference for number in met
    }


def reference_size(
    model: PreTrainedModel, objective: Objective, kinds: Mapping[int, ReferenceKind], rows: TrainingRows
) -> ReferenceSize:
    """Return the size of the reference for the rows of `kinds`; the model's weights need not be there.

    Hidden states have the model's type, logits at least float32.
    """
    own, layer, top = model.dtype.itemsize, objective.layer, objective.reference_top_k
    full = max(own, torch.float32.itemsize)
    token_bytes = torch.int64.itemsize + full
    projected = head_is_frozen(model, layer) and layer is None
    outputs = own * model.config.get_text_config().hidden_size if projected else full * outputs_width(model, layer)
    bytes_per_token = {
        ReferenceKind.none: 0,
        ReferenceKind.nats: full,
        ReferenceKind.outputs: token_bytes * top if top else outputs,
    }
    tokens = dict.fromkeys(ReferenceKind, 0)
    for number, kind in kinds.items():
        tokens[kind] += supervised_tokens(rows[number])
    of_outputs = tokens[ReferenceKind.outputs] if layer is None else 0
    return ReferenceSize(
        rows=sum(kind is not ReferenceKind.none for kind in kinds.values()),
        bytes=sum(bytes_per_token[kind] * count for kind, count in tokens.items()),
        outputs_bytes=bytes_per_token[ReferenceKind.outputs] * of_outputs,
        outputs_tokens=of_outputs,
        token_bytes=token_bytes,
    )


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
