"""Gradient ascent weighted by saturation and importance."""

from dataclasses import dataclass

from torch import Tensor

from unlearning.objectives.rows import Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class SatImp(Weighted):
    """F = -mean over tokens of p ** beta1 * (1 - p) ** beta2 * CE (Yang et al. 2025, arXiv 2505.11953).

    p is the token's probability and CE = -log p; the factors before CE have no gradient. The first factor fades where a
    token is forgotten already (saturation), the second where the model was certain of it (importance). beta1 = 0 and
    beta2 = 0 are gradient ascent; beta2 = 0 alone is WGA.
    """

    beta1: float = 5.0
    beta2: float = 1.0

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) each row's mean over tokens of -factors * CE."""
        weights = (-self.beta1 * rows.nats).exp() * (1 - (-rows.nats).exp()) ** self.beta2
        return -rows.mean(weights * rows.values)
