"""Where unlearning moved planted weights: by hand, on two layers of two or three weights."""

import pytest
import torch
from torch import Tensor

from experiments.planted_truth.where import layer_auc, put_back, taken_back, weight_auc

NAMES = ("model.layers.0.mlp.weight", "model.layers.1.mlp.weight", "model.layers.2.attention.weight", "lm_head.weight")


def weights(*values: list[float]) -> dict[str, Tensor]:
    """Return weights of three layers and the head."""
    return {name: torch.tensor(value) for name, value in zip(NAMES, values, strict=True)}


BASE = weights([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0])
PLANTED = weights([0.0, 0.0], [2.0, -1.0], [0.0, 0.0], [0.0])
UNLEARNED = weights([0.5, 0.0], [1.0, -1.0], [0.0, 1.0], [9.0])


def test_weights_are_told_apart_by_their_moves() -> None:
    """Moves 1 and 0 of planted weights against 0.5, 0, 0, 1: (1 + 1 + 1 + .5) + (0 + .5 + .5 + 0) of 8 pairs.

    The head belongs to no layer.
    """
    assert weight_auc(BASE, PLANTED, UNLEARNED) == pytest.approx(4.5 / 8)
    assert weight_auc(BASE, PLANTED, PLANTED) == 0.5


def test_layers_are_told_apart_by_their_moves() -> None:
    """Layer 1 has moved further than layer 0 and as far as layer 2: 1.5 of 2 pairs."""
    assert layer_auc(PLANTED, UNLEARNED, (1,)) == 0.75
    assert layer_auc(PLANTED, UNLEARNED, (0,)) == 0.0


def test_the_planted_change_is_taken_back_in_part() -> None:
    """Along (2, -1) the weights moved by (-1, 0): 2 of a length of 5 squared; going on in that direction is below 0."""
    assert taken_back(BASE, PLANTED, UNLEARNED) == pytest.approx(2 / 5)
    assert taken_back(BASE, PLANTED, BASE) == 1.0
    assert taken_back(BASE, PLANTED, weights([0.0, 0.0], [4.0, -2.0], [0.0, 0.0], [0.0])) == -1.0


def test_matrices_are_put_back() -> None:
    """The planted matrix alone, or all but it, as they were before unlearning."""
    inside = put_back(BASE, PLANTED, UNLEARNED, inside=True)
    outside = put_back(BASE, PLANTED, UNLEARNED, inside=False)
    for name in NAMES:
        planted = name == NAMES[1]
        assert torch.equal(inside[name], (PLANTED if planted else UNLEARNED)[name])
        assert torch.equal(outside[name], (UNLEARNED if planted else PLANTED)[name])
