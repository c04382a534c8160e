"""Weighted gradient ascent."""

from dataclasses import dataclass

from torch import Tensor

from unlearning.objectives.rows import Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class WGA(Weighted):
    """F = -mean over tokens of p ** beta * CE (Wang et al. 2025, arXiv 2502.19301).

    p is the token's probability and CE = -log p; the factor p ** beta has no gradient. It fades as a token is
    forgotten, so that ascent comes to an end; beta = 0 is gradient ascent. The paper calls it alpha; beta is the name
    in its code and in open-unlearning.
    """

    beta: float = 1.0

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) each row's mean over tokens of -p ** beta * CE."""
        return -rows.mean((-self.beta * rows.nats).exp() * rows.values)
