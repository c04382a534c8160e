"""The probe that leaves an unlearned model's LoRA adapter away."""

from dataclasses import dataclass

from unlearning.config.probe import Measured
from unlearning.probes.forget_answers import MEASURES, measure_forget_rows
from unlearning.probes.probe import Measurement, ProbedModel


@dataclass(frozen=True)
class AdapterRemoved:
    """The score of the weights that an adapter was trained on.

    Whoever has the adapter also has these weights, and they are the target model's. So the value of an unlearned model
    with an adapter is the target's, and the results take it from there. Without an adapter the probe does not apply.
    """

    measured: Measured

    @property
    def title(self) -> str:
        """What is left away, in a few words."""
        return "without its LoRA adapter"

    @property
    def measure(self) -> str:
        """The measure of the model's answers."""
        return MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask the model without any change."""
        return measure_forget_rows(probed, self.measured)
