"""Plain fine-tuning."""

from dataclasses import dataclass

from unlearning.objectives.base import Objective


@dataclass
class Finetune(Objective):
    """L = CE_retain: what memorises a corpus. Forget rows do not enter."""

    @property
    def uses_forget(self) -> bool:
        """Never."""
        return False

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:  # noqa: ARG002
        """(0, 1)."""
        return 0.0, 1.0
