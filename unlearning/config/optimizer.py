"""How gradients become updates."""

from dataclasses import dataclass
from enum import StrEnum

from unlearning.config.checks import above, at_least, within


class Decay(StrEnum):
    """Learning-rate schedule within a phase (a chunk, or the whole run)."""

    linear = "linear"
    """From lr to 0."""
    constant = "constant"


class Accumulation(StrEnum):
    """How the losses of a step's parts (schedule.accumulate) become the loss of the step."""

    mean = "mean"
    """Their mean, so that a step's gradient does not depend on the number of its parts."""
    sum = "sum"
    """Their sum, so that the clip bites earlier. Transformers 4.49 does so where a trainer has its own compute_loss and
    the model's forward takes any keyword: it leaves the division to the loss."""


@dataclass
class OptimizerConfig:
    """AdamW, with the defaults of the Hugging Face Trainer, which both seed systems used."""

    lr: float = above(0, 1e-5)
    """Learning rate after the warm-up, before it decays."""
    weight_decay: float = at_least(0, 0.0)
    """Share of a weight, times the learning rate, that a step takes away besides."""
    beta1: float = within("[0, 1)", 0.9)
    """Decay of the gradient's running mean."""
    beta2: float = within("[0, 1)", 0.999)
    """Decay of the squared gradient's running mean."""
    epsilon: float = above(0, 1e-8)
    """Added to the root of the squared gradient's mean."""
    clip_norm: float | None = above(0, 1.0)
    """Largest global norm of the gradient; null: no clipping."""
    accumulation: Accumulation = Accumulation.mean
    decay: Decay = Decay.linear
    warmup_steps: int = at_least(0, 0)
    """Steps of each phase in which the learning rate rises from 0."""


@dataclass
class ForgettingOptimizerConfig(OptimizerConfig):
    """The same for a run that forgets."""

    sam_radius: float = at_least(0, 0.0)
    """Sharpness-aware minimisation (arXiv 2502.05374, where it is 0.01): the forget gradient is that at the weights
    moved so far in its own direction, in the Euclidean norm over all of them. 0: none. It takes half as long again or
    more, and a copy of the weights that move."""
