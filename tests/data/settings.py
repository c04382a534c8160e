"""Settings of data sets as the command line makes them."""

from hydra import compose, initialize_config_dir

from unlearning.cli import conf_dir
from unlearning.config.commands import EvaluateConfig
from unlearning.config.data import DataConfig
from unlearning.config.registration import register
from unlearning.config.settings import settings_of


def data_settings(*words: str) -> DataConfig:
    """Return the data set that the words of a command line choose, such as "data=tofu"."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config: EvaluateConfig = settings_of(compose("evaluate", list(words)))
    return config.data
