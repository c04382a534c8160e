"""How a task's steps become forward passes: pack sizes, and the rows whose frozen layers are run once for all."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from unlearning.config.trainer import TrainerConfig
from unlearning.models.capabilities import capabilities
from unlearning.models.dropout import has_dropout
from unlearning.schedules.plan import PlanStep
from unlearning.training.build_tables import GIB, rows_worth_keeping
from unlearning.training.row_model import first_trained_layer, plain_model
from unlearning.training.step_data import StepLayout
from unlearning.training.task import TrainingTask
from unlearning.training.trainer import resolve_precision


def layout_of(task: TrainingTask, config: TrainerConfig, plan: Sequence[PlanStep]) -> StepLayout:
    """Return the layout of a task's steps, with the rows for which a prefix is worth keeping."""
    model = plain_model(task.model)
    layout = StepLayout(
        pack_tokens=config.pack_tokens,
        packs_per_forward=config.packs_per_forward,
        pad=task.pad,
        retain_first=task.objective.retain_first,
        uses_forget=task.objective.uses_forget,
        uses_retain=task.objective.uses_retain,
        shares_packs=capabilities(model).packs,
    )
    if config.prefix_cache_gib == 0 or first_trained_layer(model) == 0 or has_dropout(model):
        return layout
    # Lightning has not yet converted the model to its precision.
    dtype = torch.bfloat16 if resolve_precision(config) == "bf16-true" else model.dtype
    bytes_per_token = dtype.itemsize * int(model.config.get_text_config().hidden_size)
    limit_bytes = config.prefix_cache_gib * GIB
    return replace(layout, prefix_rows=rows_worth_keeping(plan, task.rows, layout, bytes_per_token, limit_bytes))
