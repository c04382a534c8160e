"""From the settings of a data set to its corpus."""

from unlearning.config.build import build
from unlearning.config.data import DataConfig
from unlearning.data.reader import Reader
from unlearning.data.rows import Corpus


def load_corpus(config: DataConfig) -> Corpus:
    """Return what the configured reader reads.

    Raises InputError if anything cannot be read, or if a row is in both sets.
    """
    reader: Reader = build(config)
    return reader.read()
