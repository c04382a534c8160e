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


class Divergence(StrEnum):
    """How far the model may be said to have moved from what it was, at one position."""

    kl = "kl"
    """KL(reference, model)."""
    reverse_kl = "reverse_kl"
    js = "js"
    """Jensen-Shannon."""
    renyi = "renyi"
    """Of order objective.renyi_order."""


class Answers(StrEnum):
    """Which answers stand in the forget rows."""

    own = "own"
    refusal = "refusal"
    """One of a few ways to say "I don't know"."""
    random = "random"
    """As many random tokens."""
    own_and_refusal = "own_and_refusal"
    """Both, each row twice."""


class ReferenceLoss(StrEnum):
    """What the retain loss must rise above before the adaptive weight grows."""

    step_mean = "step_mean"
    """The mean loss of the first epoch's steps."""
    sum_over_rows = "sum_over_rows"
    """The sum of the steps' losses over the number of retain rows: what the released code computes."""


@dataclass
class ObjectiveConfig:
    """Base of all objectives: what they do with forget rows differs, what they do with retain rows is this."""

    _target_: str = MISSING
    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None
    """A forget row whose token-mean loss is above this stops pushing (its gradient is zero); null: never."""
    retain_weight: float = 1.0
    """Of the cross-entropy on retain rows."""
    divergence: Divergence = Divergence.kl
    divergence_weight: float = 0.0
    """Of the divergence from the model before unlearning, on retain rows. Near that model Jensen-Shannon divergence is
    a quarter of KL, and Renyi's is its order times KL: to hold as firmly they need a weight larger by as much."""
    renyi_order: float = 0.5
    reference_top_k: int | None = None
    """Keep only so many tokens of each reference distribution, and one outcome for the rest; null: all of it."""

    def __post_init__(self) -> None:
        ceiling, kept = self.forget_ceiling_nats, self.reference_top_k
        require(ceiling is None or ceiling > 0, "objective.forget_ceiling_nats", ceiling, "above 0, or null")
        require(self.retain_weight >= 0, "objective.retain_weight", self.retain_weight, "0 or more")
        require(self.divergence_weight >= 0, "objective.divergence_weight", self.divergence_weight, "0 or more")
        order = self.renyi_order
        require(0 < order < 1 or order > 1, "objective.renyi_order", order, "above 0 and not 1, which is kl")
        require(kept is None or kept >= 1, "objective.reference_top_k", kept, "1 or more, or null")


@dataclass
class FinetuneConfig(ObjectiveConfig):
    """Plain cross-entropy on the retain rows; what memorising a corpus needs."""

    _target_: str = "unlearning.objectives.finetune.Finetune"


@dataclass
class WeightedConfig(ObjectiveConfig):
    """Base of the objectives whose forget term has one fixed weight."""

    forget_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.forget_weight >= 0, "objective.forget_weight", self.forget_weight, "0 or more")


@dataclass
class GradDiffConfig(WeightedConfig):
    """Ascent on forget rows, descent on retain rows."""

    _target_: str = "unlearning.objectives.grad_diff.GradDiff"


@dataclass
class AdaptiveGradDiffConfig(ObjectiveConfig):
    """Gradient difference whose retain weight grows when the retain loss rises (SHA256)."""

    _target_: str = "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff"
    scale: float = 0.3
    base: float = 6.0
    offset: float = 0.8
    min_weight: float = 1.2
    max_weight: float = 2.8
    reference_loss: ReferenceLoss = ReferenceLoss.step_mean
    round_to_tenths: bool = False
    """Round alpha before it is clipped."""

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
