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
from unlearning.config.compatibility import require_layer_in_reach
from unlearning.config.objective import Answers
from unlearning.data.answers import random_rows, refused_rows
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.identity import settings_hash
from unlearning.mediation.selection import Selection
from unlearning.models import anatomy
from unlearning.models.weights_hash import weights_hash
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import Schedule
from unlearning.scopes.scope import Scope
from unlearning.training.compile import compiled_layers
from unlearning.training.fit import fit
from unlearning.training.gradient_checkpointing import checkpoint_gradients
from unlearning.training.row_model import first_trained_layer, plain_model
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
    scope: Scope = build(config.scope)
    schedule: Schedule = build(config.schedule)
    objective: Objective = build(config.objective)
    rows = training_rows(objective.forget_answers, corpus, tokenizer, config)
    forget_tokens, retain_tokens = ([len(row.input_ids) for row in of_set] for of_set in (rows.forget, rows.retain))
    plan = schedule.plan(forget_tokens, retain_tokens, config.ratio.retain_per_forget, config.seed)
    identity = _identity(config, corpus, traced, weights_hash(model))
    parameters = model.num_parameters()  # counts each weight, also where several 4-bit weights share a byte
    torch.manual_seed(config.seed)  # adapters start from random weights
    scoped = scope.apply(model, traced.layers if traced else None)
    if objective.layer is not None:
        _freeze_after_layer(scoped, objective.layer)
    if config.trainer.gradient_checkpointing:
        checkpoint_gradients(scoped)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=objective,
        plan=plan,
        rows=rows,
        pad=tokenizer.pad_token_id,
        optimizer=config.optimizer,
        seed=config.seed,
        identity=identity,
        stopping=config.stopping,
        own_answers=_own_answers(objective.forget_answers, rows, corpus, tokenizer, config),
    )
    with ExitStack() as stack:
        stack.enter_context(scaled_update(scoped, run_dir, config.update_scale))
        if config.trainer.compile:
            stack.enter_context(compiled_layers(plain_model(scoped)))
        try:
            record = fit(task, config.trainer, run_dir, logger)
        except DivergedError as error:
            raise InputError(f"{error}; lower optimizer.lr or set objective.forget_ceiling_nats") from error
    trainable = sum(parameter.numel() for parameter in scoped.parameters() if parameter.requires_grad)
    return TrainedModel(scoped, record, parameters, trainable)


def training_rows(
    answers: Answers, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig
) -> TrainingRows:
    """Return the encoded rows, with the answers that the objective asks for.

    Raises InputError for rows that cannot be encoded.
    """
    prompt = config.prompt
    retain = encode_rows(corpus.retain, tokenizer, prompt)
    refusals: list[EncodedRow] = []
    if answers is Answers.random:
        forget = random_rows(corpus.forget, tokenizer, prompt, config.seed)
    elif answers is Answers.refusal:
        forget = refused_rows(corpus.forget, tokenizer, prompt, config.seed)
    else:
        forget = encode_rows(corpus.forget, tokenizer, prompt)
    if answers is Answers.own_and_refusal:
        refusals = refused_rows(corpus.forget, tokenizer, prompt, config.seed)
    return TrainingRows(forget=forget, refusals=refusals, retain=retain)


def _own_answers(
    answers: Answers, rows: TrainingRows, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig
) -> TrainingRows | None:
    """Return the rows with their own answers, for checks; None where the run's rows have them."""
    if answers in (Answers.own, Answers.own_and_refusal):
        return None
    return TrainingRows(forget=encode_rows(corpus.forget, tokenizer, config.prompt), refusals=(), retain=rows.retain)


def _identity(config: UnlearnConfig, corpus: Corpus, traced: Selection | None, weights: str) -> str:
    """Return the hash of all that decides the numbers of a training run."""
    method = (config.objective, config.scope, config.schedule, config.ratio, config.optimizer)
    layers = list(traced.layers) if traced else None
    machinery = (config.model, config.prompt, config.trainer, config.stopping, config.seed)
    return settings_hash(*method, *machinery, corpus.fingerprint, layers, weights)


def _freeze_after_layer(model: nn.Module, layer: int) -> None:
    """Freeze everything after the layer that the objective uses: it gets no gradient, and devices would wait for one.

    Raises InputError where nothing else is to be trained, or where the model has no such layer.
    """
    inside = plain_model(model)
    layers = anatomy.layers(inside)
    require_layer_in_reach(layer, first_trained_layer(inside), len(layers))
    for module in (*layers[layer + 1 :], *anatomy.head_modules(inside)):
        for weight in module.parameters():
            if weight is not inside.get_input_embeddings().weight:
                weight.requires_grad_(False)
