"""The organisers' rows, read as the commands read them."""

from hydra import compose, initialize_config_dir

from unlearning.cli import conf_dir
from unlearning.config.commands import EvaluateConfig
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.data.load import load_corpus
from unlearning.data.rows import Corpus


def official_corpus(name: str) -> Corpus:
    """Return the corpus of conf/data/`name`.yaml. Raises InputError where $UNLEARNING_DATA is not set."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config: EvaluateConfig = settings_of(compose("evaluate", [f"data={name}"]))
    return load_corpus(config.data)
