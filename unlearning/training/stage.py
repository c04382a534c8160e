"""From a configured method to a trained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config import UnlearnConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus
from unlearning.data.schedules import Schedule
from unlearning.identity import settings_hash
from unlearning.mediation.selection import Selection
from unlearning.objectives.base import Objective
from unlearning.scope import Scope
from unlearning.training.fit import TrainingRecord, TrainingTask, fit


@dataclass(frozen=True)
class Unlearned:
    """What the unlearning stage hands on."""

    model: nn.Module
    """With its adapters still attached, where there are any."""
    record: TrainingRecord
    parameters: int
    trainable_parameters: int


def unlearn_model(
    config: UnlearnConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    traced: Selection | None,
    run_dir: Path,
    logger: Sequence[Logger],
) -> Unlearned:
    """Train `model` in place by the configured objective, scope and schedule.

    Raises InputError where the parts do not fit the model or the data; Interrupted after Ctrl-C.
    """
    scope: Scope = build(config.scope)
    schedule: Schedule = build(config.schedule)
    objective: Objective = build(config.objective)
    plan = schedule.plan(len(corpus.forget), len(corpus.retain), config.ratio.retain_per_forget, config.seed)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    torch.manual_seed(config.seed)  # adapters start from random weights
    scoped = scope.apply(model, traced.blocks if traced else None)
    if config.trainer.gradient_checkpointing:
        _checkpoint_gradients(scoped)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=objective,
        plan=plan,
        forget=encode_rows(corpus.forget, tokenizer, config.prompt),
        retain=encode_rows(corpus.retain, tokenizer, config.prompt),
        pad=tokenizer.pad_token_id,
        optimizer=config.optimizer,
        seed=config.seed,
        identity=_identity(config, corpus, traced),
    )
    record = fit(task, config.trainer, run_dir, logger)
    trainable = sum(parameter.numel() for parameter in scoped.parameters() if parameter.requires_grad)
    return Unlearned(scoped, record, parameters, trainable)


def build(part: object) -> Any:
    """The object that a configuration dataclass describes through its `_target_`."""
    return instantiate(OmegaConf.structured(part))


def _identity(config: UnlearnConfig, corpus: Corpus, traced: Selection | None) -> str:
    """All that decides the numbers of a training run."""
    method = (config.objective, config.scope, config.schedule, config.ratio, config.optimizer)
    blocks = list(traced.blocks) if traced else None
    return settings_hash(*method, config.model, config.prompt, config.trainer, config.seed, corpus.fingerprint, blocks)


def _checkpoint_gradients(model: nn.Module) -> None:
    """Recompute activations instead of keeping them; inputs must carry gradients or frozen embeddings cut them off."""
    assert isinstance(model, nn.Module)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    model.enable_input_require_grads()  # type: ignore[operator]
