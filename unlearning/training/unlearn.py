"""From a configured method to a trained model."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.objective_choices import BOTH_ANSWERS, Answers
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus
from unlearning.identity import settings_hash
from unlearning.mediation.selection import Selection
from unlearning.objectives.base import Objective
from unlearning.training.alternates import ALTERNATES, invented_answers
from unlearning.training.compile import compiled_layers
from unlearning.training.fit import fit
from unlearning.training.gradient_checkpointing import checkpoint_gradients
from unlearning.training.hardware import one_device
from unlearning.training.one_copy import loaded_weights_hash
from unlearning.training.planned_training import plan_training, scoped_model
from unlearning.training.repselect import repselect
from unlearning.training.row_model import plain_model
from unlearning.training.step_data import TrainingRows
from unlearning.training.stopping_rules import DivergedError
from unlearning.training.task import TrainingRecord, TrainingTask
from unlearning.training.task_vector import scaled_update


@dataclass(frozen=True)
class TrainedModel:
    """An unlearned model, and what its training took."""

    model: nn.Module
    """The model, with its adapters still attached where there are any."""
    record: TrainingRecord
    parameters: int
    """Number of parameters, without adapters."""
    trainable_parameters: int
    """Number of parameters that training may move."""


def unlearn_model(
    config: UnlearnConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    traced: Selection | None,
    run_dir: Path,
    logger: Sequence[Logger],
) -> TrainedModel:
    """Train `model` in place by the configured objective, scope and schedule, and return it with its record.

    Raises InputError where these do not fit the model or the data; Interrupted after Ctrl-C.
    """
    invented = _invented(config, model, tokenizer, corpus, run_dir)
    planned = plan_training(config, corpus, tokenizer, invented)
    objective, rows = planned.objective, planned.rows
    identity = _identity(config, corpus, traced, loaded_weights_hash(model), invented)
    parameters = model.num_parameters()  # counts each weight, also where several 4-bit weights share a byte
    torch.manual_seed(config.seed)  # adapters start from random weights
    scoped = scoped_model(config.scope, model, objective, traced.layers if traced else None)
    if config.trainer.gradient_checkpointing:
        checkpoint_gradients(scoped)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=objective,
        plan=planned.steps,
        rows=rows,
        pad=tokenizer.pad_token_id,
        optimizer=config.optimizer,
        seed=config.seed,
        identity=identity,
        stopping=config.stopping,
        sam_radius=config.optimizer.sam_radius,
        noised_start=config.noised_start,
        own_answers=_own_answers(objective.forget_answers, rows, corpus, tokenizer, config),
        compared=planned.compared,
    )
    with ExitStack() as stack:
        stack.enter_context(scaled_update(scoped, run_dir, config.update_scale))
        if config.trainer.compile:
            stack.enter_context(compiled_layers(plain_model(scoped)))
        try:
            if config.repselect is not None:
                record = repselect(task, config.repselect, config.trainer, run_dir)
            else:
                record = fit(task, config.trainer, run_dir, logger)
        except DivergedError as error:
            raise DivergedError(f"{error}; lower optimizer.lr or set objective.forget_ceiling_nats") from error
    trainable = sum(parameter.numel() for parameter in scoped.parameters() if parameter.requires_grad)
    return TrainedModel(scoped, record, parameters, trainable)


def _invented(
    config: UnlearnConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    run_dir: Path,
) -> list[str] | None:
    """Return the answers that the model invents to the forget rows; None where the objective asks for none."""
    objective: Objective = build(config.objective)
    if objective.forget_answers is not Answers.own_and_invented:
        return None
    asked = model.to(one_device(config.trainer))
    batch_tokens, file = config.evaluation.batch_tokens, run_dir / ALTERNATES
    return invented_answers(corpus.forget, asked, tokenizer, config.prompt, batch_tokens, file)


def _own_answers(
    answers: Answers, rows: TrainingRows, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig
) -> TrainingRows | None:
    """Return the rows with their own answers, for checks; None where the run's rows have them."""
    if answers is Answers.own or answers in BOTH_ANSWERS:
        return None
    return TrainingRows(forget=encode_rows(corpus.forget, tokenizer, config.prompt), refusals=(), retain=rows.retain)


def _identity(
    config: UnlearnConfig, corpus: Corpus, traced: Selection | None, weights: str, invented: list[str] | None
) -> str:
    """Return the hash of all that decides the numbers of a training run."""
    method = (config.objective, config.scope, config.schedule, config.ratio, config.optimizer)
    layers = list(traced.layers) if traced else None
    machinery = (config.model, config.prompt, config.trainer, config.stopping, config.noised_start, config.repselect)
    further = () if invented is None else (invented,)
    return settings_hash(*method, *machinery, config.seed, corpus.fingerprint, layers, weights, *further)
