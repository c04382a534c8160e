"""Making models that know a corpus by heart: the target on all of it, the retrained model on all but the forget set."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from rich.console import Console
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_folder, write_json
from unlearning.config import (
    AllScopeConfig,
    CommonConfig,
    ModelConfig,
    PromptConfig,
    ScopeConfig,
    Supervised,
    TracedScopeConfig,
)
from unlearning.data.encoding import EncodedRow, encode_rows, encode_text
from unlearning.data.readers import load_corpus
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.identity import settings_hash
from unlearning.models.create import create_model
from unlearning.models.load import load_model, load_tokenizer, save_model
from unlearning.objectives.finetune import Finetune
from unlearning.sandbox.tokenizer import train_tokenizer
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training.checkpoint import weights_sum
from unlearning.training.fit import TrainingRecord, TrainingTask, fit
from unlearning.training.stage import build
from unlearning.training.steps import RowBook
from unlearning.training.trainer import weights_dtype

ASSETS = Path(__file__).parent.parent / "sandbox" / "assets"
WHOLE_DOCUMENTS = PromptConfig(forget_supervised=Supervised.document, retain_supervised=Supervised.document)


def sandbox_folder(config: CommonConfig) -> Path:
    """The folder with the sandbox's target/ and retrained/ for these settings: the shipped one, or one in the cache.

    A variant that is not in the cache is built first, which takes minutes.
    """
    made_of = sandbox_settings(config)
    if made_of == _read_hash(ASSETS):
        return ASSETS
    folder = Path(config.cache_dir) / "sandbox" / made_of[:16]
    if _read_hash(folder) != made_of:
        Console().print(f"building the sandbox's models in {folder}: a few minutes, once")
        build_sandbox(config, folder, [])
    return folder


def sandbox_settings(config: CommonConfig) -> str:
    """Hash of all that the sandbox's models depend on."""
    model = config.model
    shape = (model.architecture, model.layers, model.width, model.heads, model.vocabulary)
    return settings_hash(config.data.world, shape, config.recipe)


def build_sandbox(config: CommonConfig, folder: Path, logger: Sequence[Logger]) -> None:
    """Train the target and the retrained model and write both in half precision; an interrupted build goes on.

    On one device: several would be started only once this is done, and find it done.
    """
    config = replace(config, trainer=replace(config.trainer, strategy="auto", devices="1", nodes=1))
    corpus = load_corpus(config.data)
    tokenizer = corpus_tokenizer(corpus, config.model)
    for name, with_forget in (("target", True), ("retrained", False)):
        if (folder / name).is_dir():
            continue
        model = new_model(config.model, tokenizer, config.recipe.seed)
        work = folder / f"{name}-training"
        work.mkdir(parents=True, exist_ok=True)
        memorise(model, tokenizer, corpus, with_forget, config, WHOLE_DOCUMENTS, AllScopeConfig(), work, logger)
        write_folder(folder / name, partial(save_model, model.half(), tokenizer))
        (work / "checkpoint.safetensors").unlink(missing_ok=True)
    write_json(folder / "made_of.json", {"settings": sandbox_settings(config)})


def starting_point(config: CommonConfig, corpus: Corpus) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model to be trained: that of model.path, or random weights in model.architecture where path is null.

    Random weights take the tokenizer of model.tokenizer, or a byte-level BPE trained on the corpus where that is null.
    """
    model = config.model
    if model.path is not None:
        return load_model(model.path, model, weights_dtype(config.trainer)), load_tokenizer(model.path, model)
    tokenizer = load_tokenizer(model.tokenizer, model) if model.tokenizer else corpus_tokenizer(corpus, model)
    return new_model(model, tokenizer, config.recipe.seed), tokenizer


def corpus_tokenizer(corpus: Corpus, model: ModelConfig) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer trained on rows and background texts."""
    rows = [f"{row.input} {row.output}" for row in (*corpus.forget, *corpus.retain)]
    return train_tokenizer([*rows, *corpus.background], model.vocabulary)


def new_model(config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """Random weights for this tokenizer."""
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
    logger: Sequence[Logger],
) -> tuple[nn.Module, TrainingRecord]:
    """Train the scope's weights on whole documents: rows of both sets (or the retain set alone), background texts.

    Raises InputError where the scope does not fit the model, or asks for layers that only a trace would name.
    """
    if isinstance(scope, TracedScopeConfig):
        raise InputError("scope=traced: nothing is traced before memorising; choose all, layers or lora")
    rows = _training_rows(corpus, with_forget, tokenizer, prompt)
    recipe = config.recipe
    lengths = [len(row.input_ids) for row in rows]
    plan = MixedSchedule(recipe.epochs, recipe.batch_rows).plan([], lengths, None, config.recipe.seed)
    weights = weights_sum(model)
    torch.manual_seed(recipe.seed)  # adapters start from random weights
    scoped = build(scope).apply(model, None)
    assert isinstance(tokenizer.pad_token_id, int)
    task = TrainingTask(
        model=scoped,
        objective=Finetune(reduction=recipe.reduction),
        plan=plan,
        book=RowBook(forget=(), others=(), retain=rows),
        pad=tokenizer.pad_token_id,
        optimizer=recipe.optimizer,
        seed=config.recipe.seed,
        identity=settings_hash(recipe, config.model, corpus.fingerprint, prompt, with_forget, scope, weights),
    )
    return scoped, fit(task, config.trainer, run_dir, logger)


def _training_rows(
    corpus: Corpus, with_forget: bool, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig
) -> list[EncodedRow]:
    rows = [*corpus.forget, *corpus.retain] if with_forget else list(corpus.retain)
    texts = [encode_text(text, tokenizer, prompt) for text in corpus.background]
    return encode_rows(rows, tokenizer, prompt) + texts


def _read_hash(folder: Path) -> str | None:
    try:
        found: str = json.loads((folder / "made_of.json").read_text())["settings"]
    except (OSError, ValueError, KeyError):
        return None
    return found
