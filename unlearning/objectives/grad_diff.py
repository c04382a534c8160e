"""Gradient difference."""

from dataclasses import dataclass

from unlearning.objectives.base import Objective


@dataclass
class GradDiff(Objective):
    """L = -forget_weight * CE_forget + retain_weight * CE_retain (Liu et al. 2022, arXiv 2203.12817).

    AILS-NTUA's form is forget_weight=1, retain_weight=0.5 with averaging=whole_batch.
    """

    forget_weight: float = 1.0
    retain_weight: float = 1.0

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """(forget_weight, retain_weight)."""
        return self.forget_weight, self.retain_weight
