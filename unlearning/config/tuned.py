"""Numbers that were tuned on one model: which of them join a configuration, and how a run says so.

The defaults list of conf/unlearn.yaml lets conf/tuned/auto/MODEL_SCHEDULE, MODEL_SCOPE and MODEL_METHOD join by
themselves. Hydra cannot know there whether another key changes the model's shape. So this file looks at the composed
configuration: where the model is not the one that the numbers were found on, it is composed again with tuned=none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

ENTRIES = {"tuned@schedule": "schedule.", "tuned@scope": "scope.", "tuned@_global_": ""}
"""Entries of the defaults list that name a file of tuned numbers, and the branch whose keys the file holds."""


@dataclass
class TunedConfig:
    """Which tuned numbers joined, filled in when the configuration is composed. `tuned=none` leaves all of them out."""

    found_on: dict[str, Any] = field(default_factory=dict)
    """Keys of `model` and their values in the model that the numbers were found on."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The numbers in force, by the name of the file in conf/tuned/auto that they come from."""
    left_out: str | None = None
    """Why the numbers for this model did not join; null: they joined, or there are none."""


def announcement(tuned: TunedConfig, model: str) -> str | None:
    """Return the line that tells which tuned numbers joined or why they did not; None where there are none.

    `model` is the model's short name.
    """
    if tuned.left_out is not None:
        return f"tuned for {model}, not used: {tuned.left_out}"
    if not tuned.files:
        return None
    parts = [
        f"{name} sets {', '.join(f'{key}={value}' for key, value in numbers.items())}"
        for name, numbers in tuned.files.items()
    ]
    return f"tuned for {model}: {'; '.join(parts)} (tuned=none turns this off)"


def watch_composition() -> None:
    """Let Hydra complete every configuration of `unlearn` that it composes from now on by what this file knows.

    Hydra 1.3 has no hook between composing a configuration and showing or using it, so its loader's method is wrapped.
    Everything goes through it: --cfg, a run, each job of a multirun, and `hydra.compose`.
    """
    load = ConfigLoaderImpl.load_configuration

    @wraps(load)
    def load_and_complete(
        self: ConfigLoaderImpl,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        cfg = load(self, config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        if "tuned" not in cfg or run_mode is RunMode.MULTIRUN:
            return cfg  # each job of a multirun is composed by itself
        files, other_shape = _files_in_force(cfg), _other_shape(cfg)
        asked_for = any(word.startswith("tuned=") for word in overrides)
        if not files or not other_shape or asked_for:
            cfg.tuned.files = files
            return cfg
        cfg = load(self, config_name, [*overrides, "tuned=none"], run_mode, from_shell, validate_sweep_overrides)
        cfg.tuned.left_out = other_shape
        return cfg

    ConfigLoaderImpl.load_configuration = load_and_complete  # type: ignore[method-assign]


def _other_shape(cfg: DictConfig) -> str:
    """Return in which keys the model differs from the one that the numbers were found on; "" where it is that model."""
    different = [
        f"model.{key}={_word(value)} (here {_word(cfg.model[key])})"
        for key, value in cfg.tuned.found_on.items()
        if cfg.model[key] != value
    ]
    return f"found with {', '.join(different)}" if different else ""


def _word(value: object) -> str:
    """Return a value as it is written on the command line."""
    return "null" if value is None else str(value)


def _files_in_force(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Return the numbers of the tuned files that nothing has overridden, by the name of their file.

    A file whose numbers are all overridden is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry, prefix in ENTRIES.items():
        option = cfg.hydra.runtime.choices.get(entry)
        numbers = dict(_leaves(_content(cfg, f"tuned/{option}.yaml"), prefix))
        in_force = {key: value for key, value in numbers.items() if OmegaConf.select(cfg, key) == value}
        if in_force:
            found[str(option).rpartition("/")[2]] = in_force
    return found


def _content(cfg: DictConfig, name: str) -> Mapping[str, Any]:
    """Return the content of a configuration file from the first folder that has it; nothing where none has it."""
    for source in cfg.hydra.runtime.config_sources:
        path = Path(source.path) / name
        if source.schema == "file" and path.is_file():
            content = OmegaConf.to_container(OmegaConf.load(path))
            return content if isinstance(content, dict) else {}  # type: ignore[return-value]
    return {}


def _leaves(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each dotted key with its value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
