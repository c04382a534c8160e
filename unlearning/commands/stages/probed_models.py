"""Which models `unlearn-probe` asks: those of a finished run, or the ones that its own keys name."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from transformers import PreTrainedModel

from unlearning.commands.stages.first_checks import check_probes
from unlearning.commands.stages.known import read_skeleton
from unlearning.commands.stages.load import model_paths
from unlearning.config.build import schema_of
from unlearning.config.checks import check_ranges
from unlearning.config.commands import CommonConfig, ProbeCommandConfig
from unlearning.config.data import DataConfig
from unlearning.config.errors import one_line
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.own_parts import own_schema
from unlearning.config.prompt import PromptConfig
from unlearning.config.recipe import RecipeConfig
from unlearning.data.load import load_corpus
from unlearning.errors import InputError
from unlearning.models.load import load_model, load_tokenizer
from unlearning.models.match import require_match
from unlearning.probes.models_to_probe import ModelsToProbe
from unlearning.probes.table import ModelRole
from unlearning.runs.same_run import CONFIG
from unlearning.runs.status import read_status
from unlearning.training.hardware import require_hardware
from unlearning.training.trainer import weights_dtype

FROM_RUN = ("model", "data", "prompt", "recipe")
"""Keys that are taken from the run that is probed, and not from the command line."""


def probed_settings(config: ProbeCommandConfig, overrides: Sequence[str]) -> CommonConfig:
    """Return the settings to probe with: the command's own, with those of FROM_RUN taken from the run that it names.

    Raises InputError where the folder is no finished run of unlearn or unlearn-merge, or has no weights, and where one
    of `overrides`, the words of the command line, sets a key of FROM_RUN.
    """
    if config.run is None:
        return config
    for word in overrides:
        if re.split(r"[.=@]", word.lstrip("+~"), maxsplit=1)[0] in FROM_RUN:
            raise InputError(f"{word}: with run, {', '.join(FROM_RUN)} are the run's; leave it out")
    folder, asked = Path(config.run), f"run={config.run}"
    found = _read(asked, folder / CONFIG)
    if "method" not in found:
        raise InputError(f"{asked}: not a run of unlearn or unlearn-merge, its {CONFIG} names no method")
    state = read_status(folder)["state"]
    if state != "finished":
        raise InputError(f"{asked}: the run is {state}; it must be finished")
    if not (folder / "model").is_dir():
        raise InputError(f"{asked}: has no model/, which save_model=true would have left")
    return CommonConfig(
        name=config.name,
        seed=config.seed,
        # A run saves its weights unquantised, whatever it was trained on.
        model=replace(_section(asked, found, "model", ModelConfig), quantization=Quantization.none),
        data=_section(asked, found, "data", _data_schema(asked, found)),
        prompt=_section(asked, found, "prompt", PromptConfig),
        trainer=config.trainer,
        recipe=_section(asked, found, "recipe", RecipeConfig),
        cache_dir=config.cache_dir,
    )


def find_models(config: ProbeCommandConfig, settings: CommonConfig) -> ModelsToProbe:
    """Return the models to be probed, none of them loaded yet.

    Raises InputError for data, a tokenizer, models or probes that cannot be used, and for hardware that is not there.
    """
    require_hardware(settings.trainer)
    path, retrained = model_paths(settings)
    run = None if config.run is None else Path(config.run)
    unlearned, target = (path, config.target) if run is None else (str(run / "model"), path)
    paths = {ModelRole.target: target, ModelRole.unlearned: unlearned, ModelRole.retrained: retrained}
    keys = {ModelRole.target: "target", ModelRole.unlearned: "model.path", ModelRole.retrained: "model.retrained"}
    if run is not None:
        # The model that the run was given is the target.
        keys |= {ModelRole.target: "model.path", ModelRole.unlearned: "run"}
    # A run saves the tokenizer that it used beside its model, whatever model.tokenizer named.
    named = settings.model if run is None else replace(settings.model, tokenizer=None)
    tokenizer, corpus = load_tokenizer(unlearned, named), load_corpus(settings.data)
    models: dict[ModelRole, Callable[[], PreTrainedModel]] = {}
    for role, place in paths.items():
        if place is not None:
            # What does not fit is refused before anything slow.
            skeleton = read_skeleton(settings, place, keys[role])
            require_match(skeleton, tokenizer)
            check_probes(config.probes, skeleton)
            models[role] = partial(load_model, place, settings.model, weights_dtype(settings.trainer), keys[role])
    return ModelsToProbe(models, tokenizer, corpus, run is not None and (run / "adapter").is_dir())


def _read(asked: str, path: Path) -> dict[str, Any]:
    """Return the content of a run's configuration. Raises InputError where it cannot be read."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else one_line(error)
        raise InputError(f"{asked}: no run, its {path.name} cannot be read ({reason})") from error
    if not isinstance(found, dict):
        raise InputError(f"{asked}: no run, its {path.name} is not a mapping")
    return found


def _data_schema(asked: str, found: dict[str, Any]) -> type[DataConfig]:
    """Return the schema of the reader that a run's configuration names. Raises InputError for an unknown reader."""
    target = (found.get("data") or {}).get("_target_")
    own = isinstance(target, str) and not target.startswith("unlearning.")
    schema = own_schema("data", str(target)) if own else schema_of(DataConfig, target)
    if schema is None:
        raise InputError(f"{asked}: {CONFIG}, data._target_={target}: must be the reader of a data set")
    return schema


def _section(asked: str, found: dict[str, Any], key: str, schema: type[Any]) -> Any:
    """Return one part of a run's configuration as its schema, checked; keys that it lacks have their defaults."""
    try:
        made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), found.get(key) or {}))
        check_ranges(made, key)
        return made
    except (InputError, OmegaConfBaseException) as error:
        raise InputError(f"{asked}: {CONFIG}, {key}: {one_line(error)}") from error
