"""Whether a folder holds the run that is asked for: its config.yaml has the same settings."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from unlearning.errors import InputError, first_line

CONFIG = "config.yaml"
NOT_COMPARED = ("cache_dir", "logger", "optimized")
"""Keys that may differ when a run is started again, because they do not change what it computes."""
AFTER_A_FAILURE = (
    "combination",
    "evaluation",
    "objective",
    "optimizer",
    "prompt",
    "ratio",
    "recipe",
    "schedule",
    "scope.complement",
    "scope.embeddings",
    "scope.head",
    "scope.layers",
    "scope.modules",
    "scope.targets",
    "stopping",
    "trace",
    "trainer",
)
"""Keys that may differ, too, where the run failed, so that its folder can be used for what its message advises.

They do not decide which files a run leaves. Facts, evaluations and checkpoints are kept with a hash of what they depend
on, so they are used again or made anew accordingly."""

Settings = Mapping[str, Any]


def other_setting(run_dir: Path, cfg: DictConfig, failed: bool) -> str | None:
    """Return the first key, such as "optimizer.lr", in which the folder's run differs from `cfg`.

    None where it is the same run (for one that `failed`: the same but for AFTER_A_FAILURE), or where the folder holds
    none. Raises InputError for a config.yaml that cannot be
    read.
    """
    path = run_dir / CONFIG
    if not path.exists():
        return None
    allowed = (*NOT_COMPARED, *AFTER_A_FAILURE) if failed else NOT_COMPARED
    return _first_difference(_read(path, path.stat().st_mtime_ns), _parse(settings_text(cfg)), "", allowed)


def settings_text(cfg: DictConfig) -> str:
    """Return the content of config.yaml."""
    return OmegaConf.to_yaml(cfg, resolve=True)


def _first_difference(old: Settings, new: Settings, prefix: str, allowed: tuple[str, ...]) -> str | None:
    """Return the first key, in alphabetical order, whose values differ. `allowed` keys may."""
    for key in sorted(old.keys() | new.keys()):
        name, before, after = f"{prefix}{key}", old.get(key), new.get(key)
        if name in allowed or before == after:
            continue
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            return name
        deeper = _first_difference(before, after, f"{name}.", allowed)
        if deeper is not None:
            return deeper
    return None


@cache
def _read(path: Path, _: int) -> Settings:
    """Return the settings in a file; a sweep of many jobs reads each of its files once a change."""
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}); choose a new folder") from error


def _parse(text: str) -> Settings:
    # The fast reader, which comes with most builds of PyYAML. Both sides of a comparison are read by the same one.
    found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(found, Mapping):
        raise ValueError("not a mapping")
    return found
