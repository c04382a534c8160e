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

from unlearning.commands.subject import model_paths
from unlearning.config import CommonConfig, DataConfig, ModelConfig, PromptConfig, RecipeConfig
from unlearning.config.commands import ProbeCommandConfig
from unlearning.config.errors import one_line
from unlearning.config.model import Quantization
from unlearning.data.readers import load_corpus
from unlearning.errors import InputError
from unlearning.models.load import load_model, load_tokenizer, require_folder
from unlearning.probes.suspects import Suspects
from unlearning.probes.table import Role
from unlearning.runs.job import CONFIG, read_status
from unlearning.training.hardware import require_hardware
from unlearning.training.trainer import weights_dtype

TAKEN = ("model", "data", "prompt", "recipe")
"""What is the run's own, where a run is named."""


def settings_of(config: ProbeCommandConfig, overrides: Sequence[str]) -> CommonConfig:
    """The command's own, or with model, data, prompt and recipe of the run that it names.

    Raises InputError where the folder is no finished run of unlearn or unlearn-merge, or has no weights, and where one
    of `overrides`, the words of the command line, is of what the run decides.
    """
    if config.run is None:
        return config
    for word in overrides:
        if re.split(r"[.=@]", word.lstrip("+~"), maxsplit=1)[0] in TAKEN:
            raise InputError(f"{word}: with run, {', '.join(TAKEN)} are the run's; leave it out")
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
        # The weights that a run leaves are whole, whatever it was trained on.
        model=replace(_section(asked, found, "model", ModelConfig), quantization=Quantization.none),
        data=_section(asked, found, "data", DataConfig),
        prompt=_section(asked, found, "prompt", PromptConfig),
        trainer=config.trainer,
        recipe=_section(asked, found, "recipe", RecipeConfig),
        cache_dir=config.cache_dir,
    )


def find_suspects(config: ProbeCommandConfig, settings: CommonConfig) -> Suspects:
    """The models to be asked, none of them loaded yet.

    Raises InputError for data or a tokenizer that cannot be used, and for hardware that is not there.
    """
    require_hardware(settings.trainer)
    path, retrained = model_paths(settings)
    run = None if config.run is None else Path(config.run)
    unlearned, target = (path, config.target) if run is None else (str(run / "model"), path)
    places = {Role.target: target, Role.unlearned: unlearned, Role.retrained: retrained}
    keys = {Role.target: "target", Role.unlearned: "model.path", Role.retrained: "model.retrained"}
    if run is not None:  # then the model that it was given is the target
        keys |= {Role.target: "model.path", Role.unlearned: "run"}
    models: dict[Role, Callable[[], PreTrainedModel]] = {}
    for role, place in places.items():
        if place is not None:
            require_folder(place, keys[role])  # before anything slow
            models[role] = partial(load_model, place, settings.model, weights_dtype(settings.trainer), keys[role])
    # A run's folder has the tokenizer that it used, whichever that was.
    named = settings.model if run is None else replace(settings.model, tokenizer=None)
    adapter = run is not None and (run / "adapter").is_dir()
    return Suspects(models, load_tokenizer(unlearned, named), load_corpus(settings.data), adapter)


def _read(asked: str, path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else one_line(error)
        raise InputError(f"{asked}: no run, its {path.name} cannot be read ({reason})") from error
    if not isinstance(found, dict):
        raise InputError(f"{asked}: no run, its {path.name} is not a mapping")
    return found


def _section(asked: str, found: dict[str, Any], key: str, schema: type[Any]) -> Any:
    """One part of a run's configuration, checked; what an earlier version did not have is at its default."""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), found.get(key) or {}))
    except (InputError, OmegaConfBaseException) as error:
        raise InputError(f"{asked}: {CONFIG}, {key}: {one_line(error)}") from error
