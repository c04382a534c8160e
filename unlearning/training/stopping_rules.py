"""The rules of early stopping, as pure functions: which check is the best, and whether training should end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.errors import EndedEarlyError


class DivergedError(EndedEarlyError):
    """Training went wrong and left no weights to keep. Its caller adds which key to lower."""


@dataclass(frozen=True)
class Check:
    """Losses on some rows after `step` steps; None without such rows, or where a loss was not asked for."""

    step: int
    """Number of steps made before; 0: before training."""
    forget_loss_nats: float | None
    """Mean cross-entropy of forget rows with their own answers."""
    retain_loss_nats: float | None
    """Mean cross-entropy of retain rows."""
    loss: float | None
    """The objective's own loss, with the weights that it has at this moment."""
    unseen_loss_nats: float | None = None
    """Mean cross-entropy of rows that neither set holds."""
    alike_loss_nats: float | None = None
    """Mean cross-entropy of the forget rows of the tasks and kinds that those have."""
    ceiling_nats: float | None = None
    """The ceiling of the steps that follow, where it moves."""

    @property
    def is_finite(self) -> bool:
        """Whether all its losses are finite numbers."""
        own = (self.forget_loss_nats, self.retain_loss_nats, self.loss)
        values = (*own, self.unseen_loss_nats, self.alike_loss_nats)
        return all(value is None or math.isfinite(value) for value in values)

    def rise_since(self, start: "Check") -> float:
        """Return by how many nats the retain loss has risen; 0 without retain rows."""
        if self.retain_loss_nats is None or start.retain_loss_nats is None:
            return 0.0
        return self.retain_loss_nats - start.retain_loss_nats


class StopReason(StrEnum):
    """Why training ended before its plan did."""

    patience = "patience"
    """No check was better than the best one for stopping.patience checks."""
    max_seconds = "max_seconds"
    """Training took stopping.max_seconds."""
    divergence = "divergence"
    """A loss or a gradient was not a finite number."""
    collapse = "collapse"
    """The retain loss rose by more than stopping.collapse_nats."""
    unmoved = "unmoved"
    """The forget loss had hardly risen by check stopping.unmoved_check."""

    @property
    def is_failure(self) -> bool:
        """Whether the last weights are of no use."""
        return self in (StopReason.divergence, StopReason.collapse, StopReason.unmoved)


@dataclass(frozen=True)
class Stop:
    """Why training should end."""

    reason: StopReason
    message: str
    """The reason in one line, for the user."""


def best_check(checks: Sequence[Check], config: StoppingConfig) -> Check | None:
    """Return the best check by `config.best_by`, the earliest of equals; None where there is none.

    The first check, before training, is what others are compared with, and never the best. Neither are checks with
    losses that are not finite, nor those after a collapse.
    """
    fit = [check for check in checks[1:] if check.is_finite and not has_collapsed(check, checks[0], config)]
    return max(fit, key=lambda check: _merit(check, checks[0], config), default=None)


def has_collapsed(check: Check, start: Check, config: StoppingConfig) -> bool:
    """Return whether the retain loss has risen by more than `config.collapse_nats`."""
    return config.collapse_nats is not None and check.rise_since(start) > config.collapse_nats


def is_unmoved(checks: Sequence[Check], config: StoppingConfig) -> bool:
    """Return whether the forget loss has hardly risen, at `config.unmoved_check` or later."""
    start, last = checks[0].forget_loss_nats, checks[-1].forget_loss_nats
    if config.unmoved_check is None or len(checks) <= config.unmoved_check or start is None or last is None:
        return False
    return last - start < config.unmoved_nats


def stop_after(checks: Sequence[Check], config: StoppingConfig) -> Stop | None:
    """Return why training should end after the last of some checks; None where it should go on."""
    start, last = checks[0], checks[-1]
    if not last.is_finite:
        return Stop(StopReason.divergence, f"training diverged: a loss checked after step {last.step} is not a number")
    if has_collapsed(last, start, config):
        message = (
            f"training collapsed: the retain loss checked after step {last.step} is {last.retain_loss_nats:.4g} nats, "
            f"{start.retain_loss_nats:.4g} before training (stopping.collapse_nats={config.collapse_nats:g})"
        )
        return Stop(StopReason.collapse, message)
    if is_unmoved(checks, config):
        message = (
            f"training does not move the model: the forget loss checked after step {last.step} is "
            f"{last.forget_loss_nats:.4g} nats, {start.forget_loss_nats:.4g} before training "
            f"(stopping.unmoved_check={config.unmoved_check}, stopping.unmoved_nats={config.unmoved_nats:g}); "
            "raise optimizer.lr or schedule.epochs"
        )
        return Stop(StopReason.unmoved, message)
    best = best_check(checks, config)
    if config.patience is None or best is None or len(checks) - 1 - list(checks).index(best) < config.patience:
        return None
    since = f"{config.patience} check{'s' if config.patience > 1 else ''}"
    return Stop(StopReason.patience, f"no check was better than that after step {best.step} for {since}")


def _merit(check: Check, start: Check, config: StoppingConfig) -> tuple[bool, float]:
    """Return the merit of a check, the greater the better.

    By the objective: the negative loss. By the constraint: checks that keep it come first, ordered by their forget
    loss; then those that do not, ordered by their retain loss, the lowest first.
    """
    if config.best_by is BestBy.objective:
        assert check.loss is not None
        return True, -check.loss
    if check.rise_since(start) <= config.max_retain_rise_nats:
        return True, check.forget_loss_nats or 0.0
    assert check.retain_loss_nats is not None
    return False, -check.retain_loss_nats
