"""How gradients become updates."""

from dataclasses import dataclass
from enum import StrEnum

from unlearning.config.checks import require


class Decay(StrEnum):
    """Learning-rate schedule within a phase (a chunk, or the whole run)."""

    linear = "linear"
    constant = "constant"


@dataclass
class OptimizerConfig:
    """AdamW, in the Hugging Face Trainer's defaults that both seed systems used."""

    lr: float = 1e-5
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    """Global gradient norm; null: no clipping."""
    decay: Decay = Decay.linear
    warmup_steps: int = 0
    """Of each phase."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optimizer.lr", self.lr, "above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "optimizer.beta1", self.beta1, "in [0, 1)")
        require(0 <= self.beta2 < 1, "optimizer.beta2", self.beta2, "in [0, 1)")
        require(self.epsilon > 0, "optimizer.epsilon", self.epsilon, "above 0")
        require(
            self.clip_norm is None or self.clip_norm > 0,
            "optimizer.clip_norm",
            self.clip_norm,
            "above 0, or null",
        )
        require(self.warmup_steps >= 0, "optimizer.warmup_steps", self.warmup_steps, "0 or more")
