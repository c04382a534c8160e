"""The stage that trains a model until it has memorised rows: all of them, or the retain set alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.commands.stages.load_pair import load_pair
from unlearning.config.build import build
from unlearning.config.commands import CommonConfig
from unlearning.config.model import ModelConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.scope import ScopeConfig
from unlearning.data.encoding import EncodedRow, encode_rows, encode_text
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.identity import settings_hash
from unlearning.models.create import create_model
from unlearning.objectives.finetune import Finetune
from unlearning.sandbox.tokenizer import train_tokenizer
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training.fit import fit
from unlearning.training.one_copy import loaded_weights_hash
from unlearning.training.step_data import TrainingRows
from unlearning.training.stopping_rules import DivergedError
from unlearning.training.task import TrainingRecord, TrainingTask


def starting_point(
    config: CommonConfig, tokenizer: PreTrainedTokenizerBase
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model to be trained and its tokenizer.

    They are those of model.path or, where that is null, a model with random weights and the tokenizer that is given.
    """
    model = config.model
    if model.path is not None:
        return load_pair(model.path, model, config.trainer)
    return new_model(model, tokenizer, config.recipe.seed), tokenizer


def corpus_tokenizer(corpus: Corpus, model: ModelConfig) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE tokenizer on the rows and the background texts."""
    rows = [f"{row.input} {row.output}" for row in (*corpus.forget, *corpus.retain)]
    return train_tokenizer([*rows, *corpus.background], model.vocabulary)


def new_model(config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """Return a model with random weights for this tokenizer."""
    assert isinstance(tokenizer.eos_token_id, int)
    assert isinstance(tokenizer.pad_token_id, int)
    return create_model(config, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, seed)


def memorise(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    with_forget: bool,
    config: CommonConfig,
    prompt: PromptConfig,
    scope: ScopeConfig,
    run_dir: Path,
    loggers: Sequence[Logger],
) -> tuple[nn.Module, TrainingRecord]:
    """Train the scope's weights on both sets (or on the retain set alone) and on the background texts.

    Returns the trained model, with its adapters still attached where the scope has any, and the record of the training.
    Raises InputError where the scope does not fit the model.
    """
    rows = _training_rows(corpus, with_forget, tokenizer, prompt)
    recipe = config.recipe
    lengths = [len(row.input_ids) for row in rows]
    plan = MixedSchedule(recipe.epochs, recipe.batch_rows).plan([], lengths, None, config.recipe.seed)
    weights = loaded_weights_hash(model)
    torch.manual_seed(recipe.seed)  # adapters start from random weights
    scoped = build(scope).apply(model, None)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=Finetune(reduction=recipe.reduction),
        plan=plan,
        rows=TrainingRows(forget=(), refusals=(), retain=rows),
        pad=tokenizer.pad_token_id,
        optimizer=recipe.optimizer,
        seed=config.recipe.seed,
        identity=settings_hash(recipe, config.model, corpus.fingerprint, prompt, with_forget, scope, weights),
    )
    try:
        return scoped, fit(task, config.trainer, run_dir, loggers)
    except DivergedError as error:
        raise InputError(f"{error}; lower recipe.optimizer.lr") from error


def _training_rows(
    corpus: Corpus, with_forget: bool, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig
) -> list[EncodedRow]:
    """Return the encoded rows, then the encoded background texts."""
    rows = [*corpus.forget, *corpus.retain] if with_forget else list(corpus.retain)
    texts = [encode_text(text, tokenizer, prompt) for text in corpus.background]
    return encode_rows(rows, tokenizer, prompt) + texts
