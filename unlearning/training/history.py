"""What is known of a run besides its weights, while it runs."""

import time
from dataclasses import dataclass, field

from unlearning.training.checkpoint import Progress
from unlearning.training.stopping_rules import Check, StopReason


@dataclass
class TrainingHistory:
    """The checks and the time of a run so far, earlier attempts included."""

    identity: str
    """See `Progress.identity`."""
    checks: list[Check]
    seconds_before: float
    """Seconds that earlier attempts took."""
    stopped: StopReason | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds that all attempts took, the present one included."""
        return self.seconds_before + time.monotonic() - self.started

    def progress(self, next_step: int, objective: dict[str, float]) -> Progress:
        """Return what a checkpoint keeps of it."""
        return Progress(next_step, objective, self.seconds, self.identity, tuple(self.checks), self.stopped)
