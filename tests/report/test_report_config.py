"""The rule of selection on the command line."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from unlearning.config.errors import one_line
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.report import ConstraintConfig, ReportConfig, SelectConfig
from unlearning.config.settings import settings_of
from unlearning.errors import InputError


def settings(*overrides: str) -> ReportConfig:
    """Return the checked settings of a command line."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("report", ["runs=outputs", *overrides])
    made = settings_of(cfg)
    assert isinstance(made, ReportConfig)
    return made


def test_default_rule() -> None:
    """The final score among those that keep three quarters of the target's utility."""
    select = settings().select
    assert select.by == "final"
    assert select.constraint == ConstraintConfig("utility", 0.75)


def test_rule_from_the_command_line() -> None:
    """Each part of the rule can be set, and the condition can be left out."""
    select = settings("select.by=utility", "select.constraint.metric=retain_knowledge").select
    assert select == SelectConfig("utility", ConstraintConfig("retain_knowledge", 0.75))
    assert settings("select.constraint=null").select.constraint is None
    assert settings("select.constraint.share_of_target=0.9").select.constraint == ConstraintConfig("utility", 0.9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("select.constraint.share_of_target=0", "select.constraint.share_of_target=0.0: must be finite and above 0"),
        ("+select.bye=final", "select.bye: no such key; allowed here: by, constraint"),
        ("select.constraint.share_of_target=much", "select.constraint.share_of_target"),
    ],
)
def test_mistakes_are_one_line(override: str, message: str) -> None:
    """The message is one line and names the key."""
    with pytest.raises((InputError, HydraException, OmegaConfBaseException)) as caught:
        settings(override)
    line = one_line(caught.value)
    assert message in line
    assert "\n" not in line
