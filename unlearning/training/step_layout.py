"""How a plan's steps become forward passes: pack sizes, and the rows whose frozen layers are run once for all."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from unlearning.config.trainer import TrainerConfig
from unlearning.models.dropout import has_dropout
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep
from unlearning.training.row_model import first_trained_layer
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.table_sizes import GIB, rows_worth_keeping
from unlearning.training.trainer import resolve_precision


def layout_of(
    model: PreTrainedModel,
    objective: Objective,
    rows: TrainingRows,
    pad: int,
    config: TrainerConfig,
    plan: Sequence[PlanStep],
    shares_packs: bool,
    sets_apart: bool,
) -> StepLayout:
    """Return the layout of a plan's steps, with the rows for which a prefix is worth keeping.

    The model says only which weights may move; its weights need not be there. `shares_packs` is as in
    `capabilities`. With `sets_apart`, or where the objective asks for it, retain rows go before all others, in forward
    passes of their own.
    """
    layout = StepLayout(
        pack_tokens=config.pack_tokens,
        packs_per_forward=config.packs_per_forward,
        pad=pad,
        retain_first=objective.retain_first or sets_apart,
        uses_forget=objective.uses_forget,
        uses_retain=objective.uses_retain,
        shares_packs=shares_packs,
    )
    if config.prefix_cache_gib == 0 or first_trained_layer(model) == 0 or has_dropout(model):
        return layout
    limit_bytes = config.prefix_cache_gib * GIB
    worth = rows_worth_keeping(plan, rows, layout, prefix_bytes_per_token(model, config), limit_bytes)
    return replace(layout, prefix_rows=worth)


def prefix_bytes_per_token(model: PreTrainedModel, config: TrainerConfig) -> int:
    """Return the bytes that the output of the frozen first layers takes at one token."""
    # Lightning has not yet converted the model to its precision.
    dtype = torch.bfloat16 if resolve_precision(config) == "bf16-true" else model.dtype
    return dtype.itemsize * int(model.config.get_text_config().hidden_size)
