"""Gradient difference with an adaptive retain weight."""

from dataclasses import dataclass, field

from torch import Tensor

from unlearning.config.objective_choices import ReferenceLoss
from unlearning.objectives.base import Objective
from unlearning.objectives.rows import Rows


@dataclass
class AdaptiveGradDiff(Objective):
    """F = -CE, so that L = -CE_forget + alpha * R (SHA256 at SemEval-2025 Task 4, arXiv 2504.12996).

    CE is a row's mean cross-entropy over its supervised tokens, R by default CE_retain. The retain weight is

        alpha = clip(scale * base ** rise + offset, min_weight, max_weight)

    where rise is the step's retain loss minus a reference loss, both in nats. During the first epoch, and wherever the
    loss has not risen (rise <= 0), alpha is min_weight. The reference comes from the losses l_k of the first epoch's
    steps k, each of n_k retain rows:

    - reference_loss=STEP_MEAN: their mean, sum l_k / number of steps;
    - SUM_OVER_ROWS: sum l_k / sum n_k, as the released code has it. This is smaller by the number of retain rows in a
      step, so that alpha is nearly always above its minimum.

    With round_to_tenths, alpha is rounded to one decimal place before it is clipped.
    """

    scale: float = 0.3
    base: float = 6.0
    offset: float = 0.8
    min_weight: float = 1.2
    max_weight: float = 2.8
    reference_loss: ReferenceLoss = ReferenceLoss.step_mean
    round_to_tenths: bool = False
    _loss_sum: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False)
    _rows: int = field(default=0, init=False)

    @property
    def retain_first(self) -> bool:
        """True: alpha depends on the retain loss of the same step."""
        return True

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) -CE of each row."""
        return -rows.mean(rows.values)

    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:
        """Return (1, alpha)."""
        if retain_loss_nats is None or in_first_epoch or not self._steps:
            return 1.0, self.min_weight
        by_rows = self.reference_loss is ReferenceLoss.sum_over_rows
        rise = retain_loss_nats - self._loss_sum / (self._rows if by_rows else self._steps)
        if rise <= 0:
            return 1.0, self.min_weight
        # The clip is reached long before an exponent of 100; without this bound a diverged loss would overflow.
        alpha = self.scale * self.base ** min(rise, 100.0) + self.offset
        if self.round_to_tenths:
            alpha = round(alpha, 1)
        return 1.0, min(max(alpha, self.min_weight), self.max_weight)

    def observe(self, retain_loss_nats: float | None, retain_rows: int, in_first_epoch: bool) -> None:
        """Add the retain loss of a first-epoch step to the reference."""
        if in_first_epoch and retain_loss_nats is not None:
            self._loss_sum += retain_loss_nats
            self._steps += 1
            self._rows += retain_rows

    def state(self) -> dict[str, float]:
        """Return the sums that the reference is computed from."""
        return {"loss_sum": self._loss_sum, "steps": float(self._steps), "rows": float(self._rows)}

    def load_state(self, state: dict[str, float]) -> None:
        """Put back what `state` returned."""
        self._loss_sum = state["loss_sum"]
        self._steps, self._rows = int(state["steps"]), int(state["rows"])
