"""Which of the sandbox's models a configuration means."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from unlearning.commands.stages.sandbox_models import ASSETS, sandbox_folder
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of


def settings(command: str, *overrides: str) -> Any:
    """A command's configuration."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings_of(compose(command, list(overrides)))


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        ("unlearn", []),
        ("unlearn", ["seed=2", "method=chunked_lora"]),
        ("trace", ["seed=1"]),
        ("evaluate", []),
        ("memorise", []),
    ],
)
def test_the_shipped_models_are_used(command: str, overrides: list[str]) -> None:
    """Whatever the method and the run's seed; no model is built."""
    assert sandbox_folder(settings(command, *overrides)) == ASSETS
