"""From words, as on a command line, to a checked configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, open_dict

from unlearning.config.command_line import readable_words
from unlearning.config.errors import one_line
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.errors import InputError
from unlearning.runs.job import USER_ERRORS
from unlearning.runs.same_run import settings_text

if TYPE_CHECKING:
    from unlearning.data.rows import Corpus

COMMANDS = ("unlearn", "memorise", "trace", "merge", "evaluate", "probe")
"""The commands that leave a run folder."""


@dataclass(frozen=True)
class Configuration:
    """A command and all of its settings, checked. To change one, compose anew: the words are part of a run's record."""

    command: str
    words: tuple[str, ...]
    settings: Any
    """The settings as the command's dataclass of `unlearning.config.commands`, such as `settings.objective.beta`."""
    composed: DictConfig
    """What Hydra composed, with Hydra's own settings under `hydra`."""

    def __str__(self) -> str:
        """Return the settings as YAML: what `--cfg job` prints, with all values in place of references."""
        return settings_text(without_hydra(self.composed))

    def corpus(self) -> "Corpus":
        """Return the rows and documents that the settings name. Raises InputError where they cannot be read."""
        from unlearning.data.load import load_corpus

        return load_corpus(self.settings.data)


def compose(words: Sequence[str] = (), command: str = "unlearn") -> Configuration:
    """Return the configuration of a command from the words that one would type after it.

    `command` is "unlearn", or NAME of `unlearn-NAME`: "memorise", "trace", "merge", "evaluate", "probe". Raises
    InputError that names the key for a word that cannot be read, a key or a choice that does not exist, a value out of
    its range, and choices that make no sense together.
    """
    if command not in COMMANDS:
        raise InputError(f"command={command}: must be one of {', '.join(COMMANDS)}")
    register()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            composed = hydra_compose(command, readable_words(words), return_hydra_config=True)
        settings = settings_of(without_hydra(composed))
    except USER_ERRORS as error:
        raise InputError(one_line(error)) from None
    return Configuration(command, tuple(words), settings, composed)


def without_hydra(composed: DictConfig) -> DictConfig:
    """Return a copy of a composed configuration without Hydra's own settings."""
    plain = composed.copy()
    with open_dict(plain):
        plain.pop("hydra")
    return plain
