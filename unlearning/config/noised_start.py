"""A start that is partly noise."""

from dataclasses import dataclass

from unlearning.config.checks import at_least, within


@dataclass
class NoisedStartConfig:
    """Before the first step the weights that may move are (1 - share) * theta + share * scale * N (UNDO)."""

    share: float = within("[0, 1]", 0.0)
    """0: the weights stay as they are."""
    scale: float = at_least(0, 0.1)
    """Of the noise N, which is Xavier-uniform; 0: weights only shrink."""
