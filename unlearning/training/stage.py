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
from unlearning.identity import settings_hash
from unlearning.mediation.selection import Selection
from unlearning.models import anatomy
from unlearning.models.weights_hash import weights_hash
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import Schedule
from unlearning.scopes.scope import Scope
from unlearning.training.compile import compiled_layers
from unlearning.training.fit import TrainingRecord, TrainingTask, fit
from unlearning.training.row_model import first_trained_layer, plain_model
from unlearning.training.steps import RowBook
from unlearning.training.task_vector import scaled_update


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
    book = row_book(objective.forget_answers, corpus, tokenizer, config)
    forget_tokens, retain_tokens = ([len(row.input_ids) for row in rows] for rows in (book.forget, book.retain))
    plan = schedule.plan(forget_tokens, retain_tokens, config.ratio.retain_per_forget, config.seed)
    identity = _identity(config, corpus, traced, weights_hash(model))
    parameters = model.num_parameters()  # packed 4-bit weights count whole
    torch.manual_seed(config.seed)  # adapters start from random weights
    scoped = scope.apply(model, traced.layers if traced else None)
    if objective.layer is not None:
        _freeze_unseen(scoped, objective.layer)
    if config.trainer.gradient_checkpointing:
        _checkpoint_gradients(scoped)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=objective,
        plan=plan,
        book=book,
        pad=tokenizer.pad_token_id,
        optimizer=config.optimizer,
        seed=config.seed,
        identity=identity,
        stopping=config.stopping,
        own_answers=_own_answers(objective.forget_answers, book, corpus, tokenizer, config),
    )
    with ExitStack() as stack:
        stack.enter_context(scaled_update(scoped, run_dir, config.update_scale))
        if config.trainer.compile:
            stack.enter_context(compiled_layers(plain_model(scoped)))
        record = fit(task, config.trainer, run_dir, logger)
    trainable = sum(parameter.numel() for parameter in scoped.parameters() if parameter.requires_grad)
    return Unlearned(scoped, record, parameters, trainable)


def row_book(answers: Answers, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig) -> RowBook:
    """The rows as the objective wants them answered. InputError for rows that cannot be encoded."""
    prompt = config.prompt
    retain = encode_rows(corpus.retain, tokenizer, prompt)
    others: list[EncodedRow] = []
    if answers is Answers.random:
        forget = random_rows(corpus.forget, tokenizer, prompt, config.seed)
    elif answers is Answers.refusal:
        forget = refused_rows(corpus.forget, tokenizer, prompt, config.seed)
    else:
        forget = encode_rows(corpus.forget, tokenizer, prompt)
    if answers is Answers.own_and_refusal:
        others = refused_rows(corpus.forget, tokenizer, prompt, config.seed)
    return RowBook(forget=forget, others=others, retain=retain)


def _own_answers(
    answers: Answers, book: RowBook, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig
) -> RowBook | None:
    """The rows with their own answers, for checks, where those of the run's book have others."""
    if answers in (Answers.own, Answers.own_and_refusal):
        return None
    return RowBook(forget=encode_rows(corpus.forget, tokenizer, config.prompt), others=(), retain=book.retain)


def _identity(config: UnlearnConfig, corpus: Corpus, traced: Selection | None, weights: str) -> str:
    """All that decides the numbers of a training run."""
    method = (config.objective, config.scope, config.schedule, config.ratio, config.optimizer)
    layers = list(traced.layers) if traced else None
    machinery = (config.model, config.prompt, config.trainer, config.stopping, config.seed)
    return settings_hash(*method, *machinery, corpus.fingerprint, layers, weights)


def _freeze_unseen(model: nn.Module, layer: int) -> None:
    """Nothing after the layer that the objective looks at gets a gradient; devices would wait for it.

    Raises InputError where that is all there is to train, or there is no such layer.
    """
    inside = plain_model(model)
    layers = anatomy.layers(inside)
    require_layer_in_reach(layer, first_trained_layer(inside), len(layers))
    for module in (*layers[layer + 1 :], *anatomy.head_modules(inside)):
        for weight in module.parameters():
            if weight is not inside.get_input_embeddings().weight:
                weight.requires_grad_(False)


def _checkpoint_gradients(model: nn.Module) -> None:
    """Recompute activations instead of keeping them; inputs must carry gradients or frozen embeddings cut them off."""
    assert isinstance(model, nn.Module)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    model.enable_input_require_grads()  # type: ignore[operator]
