"""A context in which a probe may change a model, and after which the model is as it was before."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def restored_afterwards(model: nn.Module, weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let these weights be changed inside the context, and restore them bitwise at its end, even after an error.

    The device, each parameter's requires_grad and each module's mode are restored too, and no gradient is left. A copy
    of the weights is kept on the CPU as long as the context is open.
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
