"""The base class of objectives whose forget term has one fixed weight."""

from dataclasses import dataclass

from unlearning.objectives.base import Objective


@dataclass
class Weighted(Objective):
    """L = forget_weight * F + R, where a subclass says what F is."""

    forget_weight: float = 1.0

    @property
    def uses_forget(self) -> bool:
        """Whether the forget term has a weight."""
        return self.forget_weight > 0

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """Return (forget_weight, 1)."""
        return self.forget_weight, 1.0
