"""A noised start: the formula, and that a resumed run is the same to the last bit (a case of test_resume)."""

import math

import torch
from torch import nn

from unlearning.training.noised_start import noise_weights


def layer() -> nn.Linear:
    """Return a frozen bias beside weights of 3 x 5, all 2."""
    made = nn.Linear(5, 3)
    for parameter in made.parameters():
        nn.init.constant_(parameter, 2.0)
    return made


def test_the_formula() -> None:
    """theta (1 - 0.25) + 0.25 * 0.5 * N with |N| <= sqrt(6 / 8); a bias has no N; what is frozen stays."""
    made = layer()
    noise_weights(made, 0.25, 0.5, seed=3)
    noise = (made.weight - 1.5) / 0.125
    assert noise.abs().max() <= math.sqrt(6 / 8)
    assert len(noise.unique()) == 15
    assert noise.abs().max() > 0.5
    assert made.bias.tolist() == [1.5] * 3
    again, other, frozen = layer(), layer(), layer().requires_grad_(False)
    noise_weights(again, 0.25, 0.5, seed=3)
    noise_weights(other, 0.25, 0.5, seed=4)
    noise_weights(frozen, 0.25, 0.5, seed=3)
    assert torch.equal(again.weight, made.weight)
    assert not torch.equal(other.weight, made.weight)
    assert frozen.weight.unique().tolist() == [2.0]
