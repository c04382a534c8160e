"""Gradient ascent."""

from dataclasses import dataclass

from unlearning.objectives.base import Objective


@dataclass
class GradAscent(Objective):
    """L = -CE_forget (Jang et al. 2023, arXiv 2210.01504). Retain rows do not enter."""

    @property
    def uses_retain(self) -> bool:
        """Never."""
        return False

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """(1, 0)."""
        return 1.0, 0.0
