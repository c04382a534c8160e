"""How many of the CPU's threads a forward pass is worth: with too little work for each, they wait for one another."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from unlearning.models import anatomy

WORK_OF_A_THREAD = 2**22
"""Products in one layer that keep a thread busy for longer than it takes to wake it (benchmarks/README.md)."""


def layer_weights(model: PreTrainedModel) -> int:
    """Return the number of weights in the largest layer."""
    return max(sum(weight.numel() for weight in layer.parameters()) for layer in anatomy.layers(model))


@contextmanager
def suitable_threads(weights: int, tokens: int, device: torch.device) -> Iterator[None]:
    """Use as many threads as a pass of so many tokens through layers of so many weights keeps busy.

    That is one for each WORK_OF_A_THREAD products of a layer, at least one and at most the present number, which is
    set again afterwards. On a GPU nothing changes.
    """
    present = torch.get_num_threads()
    wanted = min(present, max(1, weights * tokens // WORK_OF_A_THREAD))
    if device.type != "cpu" or wanted == present:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(present)
