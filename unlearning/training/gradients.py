"""Gradients that are kept apart for a while, and the point uphill where sharpness-aware minimisation takes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def put_gradients_aside(weights: Sequence[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """Remove the gradients from the weights, and return each with its weight."""
    found = [(weight, weight.grad) for weight in weights if weight.grad is not None]
    for weight, _ in found:
        weight.grad = None
    return found


def add_gradients(earlier: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Add gradients that were put aside to those that the weights have now."""
    for weight, gradient in earlier:
        weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)


@contextmanager
def moved_uphill(weights: Sequence[nn.Parameter], radius: float) -> Iterator[None]:
    """While open, the weights are at theta + radius * g / |g| without gradients; afterwards bitwise at theta again.

    g are the gradients of all these weights together when this is opened, and |g| is their one Euclidean norm. Without
    a gradient, or where all are 0, nothing moves. Gradients that are computed inside remain. So does sharpness-aware
    minimisation of the forget loss (arXiv 2502.05374): its gradient is taken where it is highest nearby.
    """
    gradients = put_gradients_aside(weights)
    norm = nn.utils.get_total_norm([gradient for _, gradient in gradients])
    before = [(weight, weight.detach().clone()) for weight, _ in gradients]
    with torch.no_grad():
        for weight, gradient in gradients if norm > 0 else ():
            weight.add_(gradient * (radius / norm).to(gradient))
    gradients.clear()
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, start in before:
                weight.copy_(start)
