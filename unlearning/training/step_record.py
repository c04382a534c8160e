"""The numbers that are recorded of each step."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StepRecord:
    """One line of loss_curve.csv. Losses are those before the step's update; None where the step has no such rows."""

    step: int
    phase: int
    lr: float
    forget_loss_nats: float | None
    retain_loss_nats: float | None
    retain_weight: float
    loss: float
    gradient_norm: float
    tokens: int


@dataclass(frozen=True)
class PartLosses:
    """The losses of one part of a step, over all devices."""

    forget_nats: float | None
    """Mean cross-entropy of its forget rows; None without any, and where the objective has a layer."""
    retain_nats: float | None
    """Mean cross-entropy of its retain rows; None in the same cases."""
    retain_weight: float
    loss: float
    """The part's share of the step's loss."""


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None where all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
