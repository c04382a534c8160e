"""Where knowledge was planted, and where unlearning moved the weights: how well the one tells the other.

LACUNA (arXiv 2607.02513) asks the same of facts that are trained into chosen weights. All functions take weights before
the facts (`base`), with them (`planted`) and after unlearning (`unlearned`), by name.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

Weights = Mapping[str, Tensor]
LAYER = re.compile(r"layers\.(\d+)\.")


def layer_auc(planted: Weights, unlearned: Weights, layers: Collection[int]) -> float:
    """Return how often a planted layer has moved further than another one, over all pairs, 0 to 1; ties count half.

    A layer's move is the root of the mean square of the change over all its weights.
    """
    squares: dict[int, float] = defaultdict(float)
    counts: dict[int, int] = defaultdict(int)
    for name, weight in in_layers(planted).items():
        layer = layer_of(name)
        squares[layer] += float((unlearned[name] - weight).double().square().sum())
        counts[layer] += weight.numel()
    moves = {layer: sqrt(squares[layer] / counts[layer]) for layer in squares}
    return auc(np.array([*moves.values()]), np.array([layer in layers for layer in moves]))


def weight_auc(base: Weights, planted: Weights, unlearned: Weights) -> float:
    """Return how often a weight that was planted has moved further than one that was not, 0 to 1; ties count half.

    The weights are those of the layers. A weight was planted if it differs between `base` and `planted`.
    """
    moves, inside = [], []
    for name, weight in in_layers(planted).items():
        moves.append((unlearned[name] - weight).abs().flatten())
        inside.append((weight != base[name]).flatten())
    return auc(torch.cat(moves).numpy(), torch.cat(inside).numpy())


def taken_back(base: Weights, planted: Weights, unlearned: Weights) -> float:
    """Return which part of the planted change is undone: -<u, p> / <p, p>, for the change p by planting, u after it.

    1: all of it; 0: the weights moved across it, or not at all; below 0: they went on in its direction.
    """
    along, length = 0.0, 0.0
    for name, weight in planted.items():
        change = (weight - base[name]).double()
        along += float((change * (unlearned[name] - weight).double()).sum())
        length += float(change.square().sum())
    return -along / length


def put_back(base: Weights, planted: Weights, unlearned: Weights, inside: bool) -> dict[str, Tensor]:
    """Return the unlearned weights with those before unlearning in every matrix that was planted, or in all others.

    A matrix was planted if it differs between `base` and `planted`.
    """
    changed = {name for name, weight in planted.items() if not torch.equal(weight, base[name])}
    return {name: planted[name] if (name in changed) == inside else unlearned[name] for name in planted}


def auc(scores: NDArray[np.floating], inside: NDArray[np.bool_]) -> float:
    """Return how often a score (N,) inside is above one outside, over all pairs; ties count half."""
    return float(roc_auc_score(inside, scores))


def in_layers(weights: Weights) -> dict[str, Tensor]:
    """Return the weights that belong to a layer."""
    return {name: weight for name, weight in weights.items() if LAYER.search(name)}


def layer_of(name: str) -> int:
    """Return the layer of a weight that belongs to one."""
    found = LAYER.search(name)
    assert found is not None
    return int(found[1])
