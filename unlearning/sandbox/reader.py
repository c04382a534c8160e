"""The sandbox as a data set."""

from dataclasses import dataclass, field

from unlearning.config.data import WorldConfig
from unlearning.data.reader import Reader
from unlearning.data.rows import Corpus
from unlearning.sandbox.world import generate


@dataclass(frozen=True)
class SandboxReader(Reader):
    """Generates the world in place of reading it."""

    world: WorldConfig = field(default_factory=WorldConfig)

    def read_all(self) -> Corpus:
        """Return the generated world."""
        return generate(self.world)
