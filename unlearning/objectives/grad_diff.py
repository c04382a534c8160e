"""Gradient difference; without retain terms it is gradient ascent."""

from dataclasses import dataclass

from torch import Tensor

from unlearning.objectives.rows import Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class GradDiff(Weighted):
    """F = -CE, so that L = -forget_weight * CE_forget + R (Liu et al. 2022, arXiv 2203.12817).

    CE is a row's mean cross-entropy over its supervised tokens; rows are averaged as in `Objective`.

    - AILS-NTUA's form has retain_weight=0.5 and averaging=whole_batch;
    - gradient ascent (Jang et al. 2023, arXiv 2210.01504) has retain_weight=0;
    - KL minimisation (Maini et al. 2024, arXiv 2401.06121) has retain_weight=0, divergence=kl and divergence_weight=1.
    """

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) -CE of each row."""
        return -rows.mean(rows.values)
