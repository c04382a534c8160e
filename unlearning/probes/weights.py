"""A model that may be changed and is afterwards what it was."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def restored_afterwards(model: nn.Module, weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """While open, these weights may be changed; afterwards they are as before, to the last bit, whatever happened.

    So are the device, which weights may move, and which modules train; no gradient is left. The weights' copy, on the
    CPU, lasts as long as the layer.
    """
    device = next(model.parameters()).device
    saved = [(weight, weight.detach().to("cpu", copy=True)) for weight in weights]
    moving = [(weight, weight.requires_grad) for weight in model.parameters()]
    training = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        model.to(device)
        with torch.no_grad():
            for weight, before in saved:
                weight.copy_(before)
        for weight, moves in moving:
            weight.requires_grad_(moves)
            weight.grad = None
        for module, trains in training:
            module.training = trains
