"""RepSelect in place of the steps of training (arXiv 2606.17168)."""

from dataclasses import dataclass

from unlearning.config.checks import above, at_least, within


@dataclass
class RepSelectConfig:
    """One gradient of the objective, without its main directions, is taken again and again; the authors' numbers."""

    lora_rank: int = at_least(1, 8)
    """Rank and scale of the adapters that first learn the forget rows, so that the gradient finds what is hidden."""
    lora_lr: float = at_least(0, 0.01)
    """Rate of plain gradient descent on these adapters, for one pass; 0: none is made."""
    directions: float = within("(0, 1]", 0.125)
    """Main directions of each matrix's gradient that are scaled down, as a share of its smaller side (512 of 4,096)."""
    lr: float = above(0, 0.05)
    """Rate of the repeated step."""
    repetitions: int = at_least(1, 10)
    most_kl_nats: float = above(0, 0.01)
    """KL from the model before, on retain rows, nats a token; the step that goes beyond is taken back, and the last."""
    texts: int = at_least(1, 128)
    """Retain rows on which the KL is measured, at most."""
