"""The sandbox's two models: those that are shipped, and variants that are built on demand."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytorch_lightning.loggers import Logger
from rich.console import Console

import unlearning.sandbox
from unlearning.artefacts import write_folder, write_json
from unlearning.commands.stages.memorise import corpus_tokenizer, memorise, new_model
from unlearning.config.commands import CommonConfig
from unlearning.config.data import sandbox_world
from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.config.scope import AllScopeConfig
from unlearning.identity import settings_hash
from unlearning.locks.lock import LOCK, only_one
from unlearning.models.load import save_model
from unlearning.sandbox.world import generate
from unlearning.training.checkpoint import CHECKPOINT

ASSETS = Path(unlearning.sandbox.__file__).parent / "assets"
"""Folder of the shipped target and retrained model."""
WHOLE_DOCUMENTS = PromptConfig(forget_supervised=Supervised.document, retain_supervised=Supervised.document)
"""How the sandbox's models memorise: every token of every row carries a loss."""


def sandbox_folder(config: CommonConfig) -> Path:
    """Return the folder that holds target/ and retrained/ for these settings: the shipped one, or one in the cache.

    A variant that is not in the cache is built first, which takes minutes.
    """
    folder, built = sandbox_place(config)
    if not built:
        build_sandbox(config, folder, [])
    return folder


def sandbox_place(config: CommonConfig) -> tuple[Path, bool]:
    """Return the folder of target/ and retrained/ for these settings, and whether the models are there already."""
    made_of = sandbox_settings(config)
    if made_of == _read_settings_hash(ASSETS):
        return ASSETS, True
    folder = Path(config.cache_dir) / "sandbox" / made_of[:16]
    return folder, made_of == _read_settings_hash(folder)


def sandbox_settings(config: CommonConfig) -> str:
    """Return the hash of all settings that the sandbox's models depend on."""
    model = config.model
    shape = (model.architecture, model.layers, model.width, model.heads, model.vocabulary)
    return settings_hash(sandbox_world(config.data), shape, config.recipe)


def build_sandbox(config: CommonConfig, folder: Path, loggers: Sequence[Logger]) -> None:
    """Train the target and the retrained model and write both in half precision. An interrupted build goes on.

    One device trains them. Processes for further devices are started only after this, and find the models there. Where
    another command builds the same models, this one waits for them.
    """
    with only_one(folder / LOCK):
        if _read_settings_hash(folder) == sandbox_settings(config):
            return
        Console().print(f"building the sandbox's models in {folder}: a few minutes, once")
        _train_and_write(config, folder, loggers)


def _train_and_write(config: CommonConfig, folder: Path, loggers: Sequence[Logger]) -> None:
    """Train and write both models, except those that are there, and then the settings that they were made of."""
    config = replace(config, trainer=replace(config.trainer, strategy="auto", devices="1", nodes=1))
    corpus = generate(sandbox_world(config.data))
    tokenizer = corpus_tokenizer(corpus, config.model)
    for name, with_forget in (("target", True), ("retrained", False)):
        if (folder / name).is_dir():
            continue
        model = new_model(config.model, tokenizer, config.recipe.seed)
        work = folder / f"{name}-training"
        work.mkdir(parents=True, exist_ok=True)
        memorise(model, tokenizer, corpus, with_forget, config, WHOLE_DOCUMENTS, AllScopeConfig(), work, loggers)
        write_folder(folder / name, partial(save_model, model.half(), tokenizer))
        shutil.rmtree(work / CHECKPOINT, ignore_errors=True)
    write_json(folder / "made_of.json", {"settings": sandbox_settings(config)})


def _read_settings_hash(folder: Path) -> str | None:
    """Return the hash of the settings that the models in a folder were built with; None where it cannot be read."""
    try:
        found: str = json.loads((folder / "made_of.json").read_text())["settings"]
    except (OSError, ValueError, KeyError):
        return None
    return found
