"""Published forget losses, each with its own keys. Defaults are those of the papers, or of the authors' code."""

from dataclasses import dataclass
from enum import StrEnum

from unlearning.config.checks import require
from unlearning.config.objective import Answers, WeightedConfig


class RatioUnit(StrEnum):
    """Whose probability is compared with that before unlearning."""

    answer = "answer"
    """The whole answer's."""
    mean = "mean"
    """The answer's tokens', averaged geometrically: not lower because an answer is long."""
    token = "token"
    """Each token's by itself."""


@dataclass
class NPOConfig(WeightedConfig):
    """Push an answer's probability below what it was before unlearning, ever less hard the lower it is."""

    _target_: str = "unlearning.objectives.npo.NPO"
    beta: float = 0.1
    """Above 0; towards 0 it becomes gradient ascent."""
    unit: RatioUnit = RatioUnit.answer

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "objective.beta", self.beta, "above 0")


@dataclass
class SimNPOConfig(WeightedConfig):
    """Push the token-mean loss of an answer up, ever less hard the higher it is; without a reference."""

    _target_: str = "unlearning.objectives.simnpo.SimNPO"
    beta: float = 4.5
    """Above 0, a nat."""
    gamma: float = 0.0
    """Margin: pull until beta times the loss is well above it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "objective.beta", self.beta, "above 0")


@dataclass
class DPOConfig(WeightedConfig):
    """Prefer a refusal over the row's own answer."""

    _target_: str = "unlearning.objectives.dpo.DPO"
    beta: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta > 0, "objective.beta", self.beta, "above 0")


@dataclass
class RelabelConfig(WeightedConfig):
    """Learn other answers to the forget rows' questions."""

    _target_: str = "unlearning.objectives.relabel.Relabel"
    answers: Answers = Answers.refusal
    """own is learning the forget rows, as a task vector needs it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one = self.answers is not Answers.own_and_refusal
        require(one, "objective.answers", self.answers.value, "own, refusal or random: one answer a row")


@dataclass
class UnDIALConfig(WeightedConfig):
    """Learn the distribution from before unlearning with the true token's logit lowered."""

    _target_: str = "unlearning.objectives.undial.UnDIAL"
    strength: float = 10.0
    """By how much the true token's logit is lowered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = self.reference_top_k
        require(self.strength >= 0, "objective.strength", self.strength, "0 or more")
        # The likeliest token alone is nearly always the true one: it would be learnt.
        require(kept is None or kept >= 2, "objective.reference_top_k", kept, "2 or more, or null")


@dataclass
class WGAConfig(WeightedConfig):
    """Gradient ascent, each token weighted by a power of its probability."""

    _target_: str = "unlearning.objectives.wga.WGA"
    beta: float = 1.0
    """The power; 0: plain gradient ascent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta >= 0, "objective.beta", self.beta, "0 or more")


@dataclass
class SatImpConfig(WeightedConfig):
    """Gradient ascent, each token weighted by powers of its probability p and of 1 - p."""

    _target_: str = "unlearning.objectives.satimp.SatImp"
    beta1: float = 5.0
    """Power of p."""
    beta2: float = 1.0
    """Power of 1 - p."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta1 >= 0, "objective.beta1", self.beta1, "0 or more")
        require(self.beta2 >= 0, "objective.beta2", self.beta2, "0 or more")


@dataclass
class CEUConfig(WeightedConfig):
    """Learn the model's own distribution without the true token."""

    _target_: str = "unlearning.objectives.ce_u.CEU"
    ignored_tokens: int = 1
    """First supervised tokens of a row that do not count; its last token always does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.ignored_tokens >= 0, "objective.ignored_tokens", self.ignored_tokens, "0 or more")


@dataclass
class PDUConfig(WeightedConfig):
    """Flatten the logits of forget rows, while a multiplier keeps the retain loss below a bound."""

    _target_: str = "unlearning.objectives.pdu.PDU"
    dual_start: float = 100.0
    """The multiplier's first value: the retain weight during the warm-up."""
    dual_step_size: float = 5.0
    """What it moves by, for each nat above or below the bound."""
    dual_warmup_epochs: int = 5
    """Epochs during which it stays where it is."""
    retain_loss_eps: float = 0.3
    """The bound, in nats a token."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dual_start >= 0, "objective.dual_start", self.dual_start, "0 or more")
        require(self.dual_step_size >= 0, "objective.dual_step_size", self.dual_step_size, "0 or more")
        require(self.dual_warmup_epochs >= 0, "objective.dual_warmup_epochs", self.dual_warmup_epochs, "0 or more")
        require(self.retain_loss_eps >= 0, "objective.retain_loss_eps", self.retain_loss_eps, "0 or more")


@dataclass
class RMUConfig(WeightedConfig):
    """Steer a layer's output to a random direction on forget rows, and keep it in place on retain rows."""

    _target_: str = "unlearning.objectives.rmu.RMU"
    layer: int = 7
    """Counted from 0; nothing above it is run."""
    coefficient: float = 6.5
    """Length of the target, or its multiple of the state's length before unlearning where `adaptive`."""
    adaptive: bool = False
    alpha: float = 1200.0
    """Of the retain rows' term; the keys of other retain terms do not apply."""
    seed: int = 0
    """Of the direction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = self.reference_top_k
        require(self.layer >= 0, "objective.layer", self.layer, "0 or more, counted from the first layer")
        require(self.coefficient >= 0, "objective.coefficient", self.coefficient, "0 or more")
        require(self.alpha >= 0, "objective.alpha", self.alpha, "0 or more")
        require(self.retain_weight == 1, "objective.retain_weight", self.retain_weight, "1: RMU has alpha instead")
        moved = self.divergence_weight
        require(moved == 0, "objective.divergence_weight", moved, "0: RMU has alpha instead")
        require(kept is None, "objective.reference_top_k", kept, "null: RMU compares hidden states")
