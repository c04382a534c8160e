"""From a composed configuration to checked settings."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from unlearning.config.checks import check_ranges
from unlearning.config.compatibility import refuse_incompatible
from unlearning.config.errors import refuse_unknown_keys


def settings_of(cfg: DictConfig) -> Any:
    """Return a command's composed configuration as the dataclass that its schema declares, with every check passed.

    Raises InputError that names the key for a key that no schema declares, for a value out of its range, and for
    choices that make no sense together.
    """
    refuse_unknown_keys(cfg)
    settings = OmegaConf.to_object(cfg)
    check_settings(settings)
    return settings


def check_settings(settings: Any) -> None:
    """Raise InputError for the first value of a command's settings that is out of range or makes no sense."""
    check_ranges(settings, "")
    refuse_incompatible(settings)
