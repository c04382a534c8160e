"""Gradient difference with an adaptive retain weight."""

from dataclasses import dataclass, field

from unlearning.objectives.base import Objective


@dataclass
class AdaptiveGradDiff(Objective):
    """L = -CE_forget + alpha * CE_retain (SHA256 at SemEval-2025 Task 4, arXiv 2504.12996).

    alpha = clip(scale * base ** dL + offset, min_weight, max_weight), where dL is the step's retain loss less the mean
    retain loss of the first epoch, both in nats. During the first epoch, and wherever the loss has not risen (dL <= 0),
    alpha = min_weight.
    """

    scale: float = 0.3
    base: float = 6.0
    offset: float = 0.8
    min_weight: float = 1.2
    max_weight: float = 2.8
    _first_epoch_sum: float = field(default=0.0, init=False)
    _first_epoch_steps: int = field(default=0, init=False)

    @property
    def retain_first(self) -> bool:
        """Alpha depends on the retain loss of the same step."""
        return True

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:
        """(1, alpha)."""
        if retain_loss_nats is None or in_first_epoch or not self._first_epoch_steps:
            return 1.0, self.min_weight
        rise = retain_loss_nats - self._first_epoch_sum / self._first_epoch_steps
        if rise <= 0:
            return 1.0, self.min_weight
        # The exponent is bounded where the clip has long been reached, so that a diverged loss cannot overflow.
        alpha = self.scale * self.base ** min(rise, 100.0) + self.offset
        return 1.0, min(max(alpha, self.min_weight), self.max_weight)

    def observe(self, retain_loss_nats: float | None, in_first_epoch: bool) -> None:
        """Take a first-epoch step's retain loss into the reference."""
        if in_first_epoch and retain_loss_nats is not None:
            self._first_epoch_sum += retain_loss_nats
            self._first_epoch_steps += 1

    def state(self) -> dict[str, float]:
        """The reference so far."""
        return {"first_epoch_sum": self._first_epoch_sum, "first_epoch_steps": float(self._first_epoch_steps)}

    def load_state(self, state: dict[str, float]) -> None:
        """Inverse of `state`."""
        self._first_epoch_sum = state["first_epoch_sum"]
        self._first_epoch_steps = int(state["first_epoch_steps"])
