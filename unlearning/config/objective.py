"""What loss is minimised on forget and retain rows.

The defaults of a published loss are those of its paper or of its authors' code.
"""

from dataclasses import dataclass

from omegaconf import MISSING

from unlearning.config.checks import above, at_least, require
from unlearning.config.objective_choices import (
    BOTH_ANSWERS,
    AboveCeiling,
    Answers,
    Averaging,
    CeilingUnit,
    Divergence,
    RatioUnit,
    Reduction,
    ReferenceLoss,
)


@dataclass
class ObjectiveConfig:
    """Base of all objectives: they differ in what they do with forget rows; these are the keys for retain rows."""

    _target_: str = MISSING
    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = above(0, None)
    """A forget row whose loss is above this is pushed no further; null: every row always is."""
    ceiling_unit: CeilingUnit = CeilingUnit.row
    above_ceiling: AboveCeiling = AboveCeiling.stop
    ceiling_follows_unseen: bool = False
    """Whether each check moves the ceiling so that the forget rows end where rows of data.unseen are, which were
    never learnt. Rows of the same tasks and kinds are compared. forget_ceiling_nats is not needed then."""
    retain_weight: float = at_least(0, 1.0)
    """Weight of the cross-entropy on retain rows."""
    divergence: Divergence = Divergence.kl
    divergence_weight: float = at_least(0, 0.0)
    """Weight of the divergence from the model before unlearning, on retain rows. Near that model the Jensen-Shannon
    divergence is a quarter of KL, and Renyi's is its order times KL: to hold the model as firmly, they need a larger
    weight, by the same factor."""
    renyi_order: float = above(0, 0.5)
    """Order of the Renyi divergence; not 1, where it would be KL."""
    reference_top_k: int | None = at_least(1, None)
    """Keep only so many tokens of each reference distribution, and one outcome for the rest; null: all tokens."""

    def check(self, key: str) -> None:
        """Raise InputError for the Renyi divergence whose order is 1, and for keys of a ceiling without one."""
        order = self.renyi_order
        require(order != 1, f"{key}.renyi_order", order, "above 0 and not 1, which is kl")
        bounded = self.forget_ceiling_nats is not None or self.ceiling_follows_unseen
        without = f"without {key}.forget_ceiling_nats"
        turns, by_token = self.above_ceiling is AboveCeiling.turn, self.ceiling_unit is CeilingUnit.token
        require(bounded or not turns, f"{key}.above_ceiling", "turn", f"stop {without}")
        require(bounded or not by_token, f"{key}.ceiling_unit", "token", f"row {without}")


@dataclass
class FinetuneConfig(ObjectiveConfig):
    """Plain cross-entropy on the retain rows; what memorising a corpus needs."""

    _target_: str = "unlearning.objectives.finetune.Finetune"


@dataclass
class WeightedConfig(ObjectiveConfig):
    """Base of the objectives whose forget term has one fixed weight."""

    forget_weight: float = at_least(0, 1.0)
    """Weight of the forget term."""


@dataclass
class GradDiffConfig(WeightedConfig):
    """Ascent on forget rows, descent on retain rows."""

    _target_: str = "unlearning.objectives.grad_diff.GradDiff"


@dataclass
class AdaptiveGradDiffConfig(ObjectiveConfig):
    """Gradient difference whose retain weight grows when the retain loss rises (SHA256)."""

    _target_: str = "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff"
    scale: float = at_least(0, 0.3)
    """Factor of the exponential term: the retain weight is scale * base ** rise + offset, clipped."""
    base: float = above(0, 6.0)
    """What the rise of the retain loss, in nats, is the exponent of."""
    offset: float = 0.8
    """What is added to the exponential term."""
    min_weight: float = at_least(0, 1.2)
    """Smallest retain weight; it stands during the first epoch, and wherever the loss has not risen."""
    max_weight: float = 2.8
    """Largest retain weight, min_weight or more."""
    reference_loss: ReferenceLoss = ReferenceLoss.step_mean
    round_to_tenths: bool = False
    """Whether the retain weight is rounded to tenths before it is clipped."""

    def check(self, key: str) -> None:
        """Raise InputError where the largest weight is below the smallest."""
        super().check(key)
        least, most = self.min_weight, self.max_weight
        require(most >= least, f"{key}.max_weight", most, f"{key}.min_weight={least} or more")


@dataclass
class NPOConfig(WeightedConfig):
    """Push an answer's probability below what it was before unlearning, ever less hard the lower it is."""

    _target_: str = "unlearning.objectives.npo.NPO"
    beta: float = above(0, 0.1)
    """Towards 0 the objective becomes gradient ascent."""
    unit: RatioUnit = RatioUnit.answer


@dataclass
class SimNPOConfig(WeightedConfig):
    """Push the token-mean loss of an answer up, ever less hard the higher it is; without a reference."""

    _target_: str = "unlearning.objectives.simnpo.SimNPO"
    beta: float = above(0, 4.5)
    """Unit: 1/nat."""
    gamma: float = 0.0
    """Margin: a row is pushed until beta times its loss is well above this."""


@dataclass
class DPOConfig(WeightedConfig):
    """Prefer another answer over the row's own."""

    _target_: str = "unlearning.objectives.dpo.DPO"
    beta: float = above(0, 0.1)
    """Scale of the log-probability ratios: towards 0 the objective is linear in them."""
    answers: Answers = Answers.own_and_refusal
    """own_and_refusal, own_and_other or own_and_invented: what is preferred."""

    def check(self, key: str) -> None:
        """Raise InputError unless there are two answers to a row."""
        super().check(key)
        two = self.answers in BOTH_ANSWERS
        require(two, f"{key}.answers", self.answers.value, f"{', '.join(BOTH_ANSWERS)}: two answers a row")


@dataclass
class RelabelConfig(WeightedConfig):
    """Learn other answers to the forget rows' questions."""

    _target_: str = "unlearning.objectives.relabel.Relabel"
    answers: Answers = Answers.refusal
    """own means that the forget rows are learnt, as a task vector needs it."""

    def check(self, key: str) -> None:
        """Raise InputError for two answers to a row."""
        super().check(key)
        one = self.answers not in BOTH_ANSWERS
        require(one, f"{key}.answers", self.answers.value, "own, refusal, random, other or repeated: one answer a row")


@dataclass
class JensUnConfig(WeightedConfig):
    """Learn one fixed text in place of the answers, with the bounded Jensen-Shannon divergence."""

    _target_: str = "unlearning.objectives.jensun.JensUn"


@dataclass
class UnDIALConfig(WeightedConfig):
    """Learn the distribution from before unlearning with the true token's logit lowered."""

    _target_: str = "unlearning.objectives.undial.UnDIAL"
    strength: float = at_least(0, 10.0)
    """By how much the true token's logit is lowered."""

    def check(self, key: str) -> None:
        """Raise InputError where only the likeliest token is kept: it is nearly always the true one."""
        super().check(key)
        kept = self.reference_top_k
        require(kept is None or kept >= 2, f"{key}.reference_top_k", kept, "2 or more, or null")


@dataclass
class DistilConfig(WeightedConfig):
    """Stay as the model before the run, on forget rows too; for a start that is partly noise."""

    _target_: str = "unlearning.objectives.distil.Distil"


@dataclass
class WGAConfig(WeightedConfig):
    """Gradient ascent, each token weighted by a power of its probability."""

    _target_: str = "unlearning.objectives.wga.WGA"
    beta: float = at_least(0, 1.0)
    """The power; 0: plain gradient ascent."""


@dataclass
class UnlikelihoodConfig(WeightedConfig):
    """Unlikelihood training: tokens that the model is sure of are pushed most."""

    _target_: str = "unlearning.objectives.unlikelihood.Unlikelihood"


@dataclass
class SatImpConfig(WeightedConfig):
    """Gradient ascent, each token weighted by powers of its probability p and of 1 - p."""

    _target_: str = "unlearning.objectives.satimp.SatImp"
    beta1: float = at_least(0, 5.0)
    """Power of p."""
    beta2: float = at_least(0, 1.0)
    """Power of 1 - p."""


@dataclass
class CEUConfig(WeightedConfig):
    """Learn the model's own distribution without the true token."""

    _target_: str = "unlearning.objectives.ce_u.CEU"
    ignored_tokens: int = at_least(0, 1)
    """First supervised tokens of a row that do not count; its last token always does."""


@dataclass
class PDUConfig(WeightedConfig):
    """Flatten the logits of forget rows, while a multiplier keeps the retain loss below a bound."""

    _target_: str = "unlearning.objectives.pdu.PDU"
    dual_start: float = at_least(0, 100.0)
    """The multiplier's first value: the retain weight during the warm-up."""
    dual_step_size: float = at_least(0, 5.0)
    """By how much the multiplier moves for each nat above or below the bound."""
    dual_warmup_epochs: int = at_least(0, 5)
    """Epochs during which the multiplier stays where it is."""
    retain_loss_eps: float = at_least(0, 0.3)
    """The bound, in nats a token."""


@dataclass
class RMUConfig(WeightedConfig):
    """Steer a layer's output to a random direction on forget rows, and keep it in place on retain rows."""

    _target_: str = "unlearning.objectives.rmu.RMU"
    layer: int = at_least(0, 7)
    """The layer whose output is steered, counted from 0; nothing above it is run."""
    coefficient: float = at_least(0, 6.5)
    """Length of the target, or its multiple of the state's length before unlearning where `adaptive`."""
    adaptive: bool = False
    """Whether the coefficient is a multiple of each state's length before unlearning (adaptive RMU)."""
    alpha: float = at_least(0, 1200.0)
    """Weight of the retain rows' term; the keys of other retain terms do not apply."""
    seed: int = 0
    """Seed of the random direction."""

    def check(self, key: str) -> None:
        """Raise InputError for keys of retain terms that RMU does not have."""
        super().check(key)
        weight, moved, kept = self.retain_weight, self.divergence_weight, self.reference_top_k
        require(weight == 1, f"{key}.retain_weight", weight, "1: RMU has alpha instead")
        require(moved == 0, f"{key}.divergence_weight", moved, "0: RMU has alpha instead")
        require(kept is None, f"{key}.reference_top_k", kept, "null: RMU compares hidden states")
