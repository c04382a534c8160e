"""Plain fine-tuning."""

from dataclasses import dataclass

from unlearning.objectives.base import Objective


@dataclass
class Finetune(Objective):
    """L = R, by default the cross-entropy of retain rows: the loss that memorises a corpus."""

    @property
    def uses_forget(self) -> bool:
        """False: forget rows do not enter the loss."""
        return False

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """Return (0, 1)."""
        return 0.0, 1.0
