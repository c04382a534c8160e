"""What a release as a LoRA adapter reveals."""

from dataclasses import dataclass

from unlearning.config.probe import Measured
from unlearning.probes.knowledge import MEASURES, asked_plainly
from unlearning.probes.probe import Measurement, Probed


@dataclass(frozen=True)
class AdapterRemoved:
    """Knowledge of the weights that an adapter was trained on: the target's, which whoever has the adapter has too.

    So the value of an unlearned model with an adapter is the target's; the table takes it from there, and says so
    where there is no adapter.
    """

    measured: Measured

    @property
    def title(self) -> str:
        """What is left away."""
        return "without its LoRA adapter"

    @property
    def measure(self) -> str:
        """Of what it knows."""
        return MEASURES[self.measured]

    def run(self, probed: Probed) -> Measurement:
        """Ask the model as it is."""
        return asked_plainly(probed, self.measured)
