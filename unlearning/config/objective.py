"""What loss is minimised on forget and retain rows."""

from dataclasses import dataclass
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import require


class Averaging(StrEnum):
    """Denominators of a step's loss."""

    each_set = "each_set"
    """mean over forget rows and mean over retain rows, then the weighted sum."""
    whole_batch = "whole_batch"
    """weighted sum over all rows, divided by the number of all rows (AILS-NTUA)."""


class Reduction(StrEnum):
    """How token losses become a set's loss."""

    row = "row"
    """mean over a row's supervised tokens, then over rows."""
    token = "token"
    """mean over all supervised tokens of the set."""


@dataclass
class ObjectiveConfig:
    """Base of all objectives."""

    _target_: str = MISSING
    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None
    """A forget row whose token-mean loss is above this stops pushing (its gradient is zero); null: never."""

    def __post_init__(self) -> None:
        ceiling = self.forget_ceiling_nats
        require(ceiling is None or ceiling > 0, "objective.forget_ceiling_nats", ceiling, "above 0, or null")


@dataclass
class FinetuneConfig(ObjectiveConfig):
    """Plain cross-entropy on the retain rows; what memorising a corpus needs."""

    _target_: str = "unlearning.objectives.finetune.Finetune"


@dataclass
class GradAscentConfig(ObjectiveConfig):
    """Ascent on the forget rows alone."""

    _target_: str = "unlearning.objectives.grad_ascent.GradAscent"


@dataclass
class GradDiffConfig(ObjectiveConfig):
    """Ascent on forget rows, descent on retain rows."""

    _target_: str = "unlearning.objectives.grad_diff.GradDiff"
    forget_weight: float = 1.0
    retain_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.forget_weight >= 0, "objective.forget_weight", self.forget_weight, "0 or more")
        require(self.retain_weight >= 0, "objective.retain_weight", self.retain_weight, "0 or more")


@dataclass
class AdaptiveGradDiffConfig(ObjectiveConfig):
    """Gradient difference whose retain weight grows when the retain loss rises (SHA256)."""

    _target_: str = "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff"
    scale: float = 0.3
    base: float = 6.0
    offset: float = 0.8
    min_weight: float = 1.2
    max_weight: float = 2.8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.scale >= 0, "objective.scale", self.scale, "0 or more")
        require(self.base > 0, "objective.base", self.base, "above 0")
        require(self.min_weight >= 0, "objective.min_weight", self.min_weight, "0 or more")
        require(
            self.max_weight >= self.min_weight,
            "objective.max_weight",
            self.max_weight,
            f"objective.min_weight={self.min_weight} or more",
        )
