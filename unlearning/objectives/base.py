"""What every objective shares: how row losses become a step's loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.config import Averaging, Reduction


@dataclass(frozen=True)
class SetSize:
    """Size of a set's share of one step, over all devices."""

    rows: int
    tokens: int
    """Supervised tokens."""


@dataclass
class Objective(ABC):
    r"""Base of all objectives.

    A step's loss is

        L = w_f * sum_i u_i F(l_i) / D_f  +  w_r * sum_j u_j R(l_j) / D_r

    over forget rows i and retain rows j, where l is a row's token-mean cross-entropy in nats, and

    - reduction ROW: u = 1 and D the number of rows; TOKEN: u the row's supervised tokens and D their sum;
    - averaging EACH_SET: D over its own set; WHOLE_BATCH: D over both sets together.

    Here F(l) = -min(l, ceiling) and R(l) = l. A subclass sets `weights`, or F or R.
    """

    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None

    @property
    def retain_first(self) -> bool:
        """Whether `weights` needs the retain loss of the same step, so that retain rows must go first."""
        return False

    @property
    def uses_forget(self) -> bool:
        """Whether forget rows enter the loss at all."""
        return True

    @property
    def uses_retain(self) -> bool:
        """Whether retain rows enter the loss at all."""
        return True

    @abstractmethod
    def weights(self, retain_loss_nats: float | None, in_first_epoch: bool) -> tuple[float, float]:
        """(w_f, w_r) of a step; `retain_loss_nats` is its retain loss, None without retain rows."""

    def observe(self, retain_loss_nats: float | None, in_first_epoch: bool) -> None:  # noqa: B027
        """Called once after each step, for objectives that learn from the losses; most do not."""

    def forget_terms(self, row_nats: Tensor) -> Tensor:
        """F: (R,) row losses in nats to (R,) terms to minimise. Rows above the ceiling have no gradient."""
        if self.forget_ceiling_nats is None:
            return -row_nats
        return -row_nats.clamp(max=self.forget_ceiling_nats)

    def retain_terms(self, row_nats: Tensor) -> Tensor:
        """R: (R,) row losses in nats to (R,) terms to minimise."""
        return row_nats

    def row_units(self, row_tokens: Tensor) -> Tensor:
        """u: (R,) supervised tokens to (R,) units of a row in its set's mean."""
        return row_tokens if self.reduction is Reduction.token else torch.ones_like(row_tokens)

    def denominators(self, forget: SetSize, retain: SetSize) -> tuple[float, float]:
        """(D_f, D_r), each at least 1 so that an empty set divides nothing."""
        sizes = [size.tokens if self.reduction is Reduction.token else size.rows for size in (forget, retain)]
        if self.averaging is Averaging.whole_batch:
            sizes = [sum(sizes)] * 2
        return float(max(sizes[0], 1)), float(max(sizes[1], 1))

    def state(self) -> dict[str, float]:
        """What must survive an interruption."""
        return {}

    def load_state(self, state: dict[str, float]) -> None:  # noqa: B027
        """Inverse of `state`; nothing to do without one."""
