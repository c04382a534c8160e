"""What a release as a LoRA adapter reveals."""

from dataclasses import dataclass

from unlearning.config.probe import Measured
from unlearning.probes.forget_answers import MEASURES, measure_forget_rows
from unlearning.probes.probe import Measurement, ProbedModel


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

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask the model as it is."""
        return measure_forget_rows(probed, self.measured)
