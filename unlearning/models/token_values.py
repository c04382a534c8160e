"""Values of supervised tokens from hidden states, with only a few logits in memory at any time.

Logits are the largest tensor of a step: 50,000 numbers a token. They are computed, used and dropped for some tokens at
a time. Where the output projection is frozen, the gradient of each token's value in its hidden state is computed at
once, so that nothing is computed twice; where it is trained, logits are computed again in the backward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

MIB = 2**20
LOGITS_MIB = {"cpu": 24, "cuda": 1024}
"""Size of the logits that are computed together, by device. The C library gives pieces of memory above 32 MiB back to
the system each time, and getting them again takes longer than filling them."""
LEAST_TOKENS = 128
"""However large their logits are, so many tokens are computed together. Each part reads the whole projection, and adds
to a gradient of its size where it is trained: with a vocabulary of 262,144, parts of 24 tokens take twice the time."""

Evaluate = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""A function from hidden states (n, width) and the slice of their tokens to values (n,) and cross-entropies (n,).

Token i's value must depend on hidden state i alone.
"""


def tokens_together(device: str, vocabulary: int) -> int:
    """Return how many tokens' logits, `vocabulary` numbers in float32 each, are computed together on this device."""
    return max(LEAST_TOKENS, LOGITS_MIB.get(device, LOGITS_MIB["cpu"]) * MIB // (4 * vocabulary))


def token_values(states: Tensor, evaluate: Evaluate, vocabulary: int, frozen: bool) -> tuple[Tensor, Tensor]:
    """Return (N,) values with gradient and (N,) cross-entropies without, from hidden states (N, width).

    `vocabulary` is the number of logits a token, which decides how many tokens are evaluated together; `frozen` says
    that nothing that `evaluate` uses is trained.
    """
    parts = _parts(len(states), tokens_together(states.device.type, vocabulary))
    if frozen:
        found: tuple[Tensor, Tensor] = _WithGradient.apply(states, parts, evaluate)  # type: ignore[no-untyped-call]
        return found
    pairs = [_recomputed(states, part, evaluate) if len(parts) > 1 else evaluate(states, part) for part in parts]
    if not pairs:
        return states.new_zeros(0), states.new_zeros(0)
    return torch.cat([values for values, _ in pairs]), torch.cat([nats for _, nats in pairs])


def _parts(count: int, most: int) -> list[slice]:
    """Return as few slices as possible, all about as long: a product with the few rows of a remainder would be slow."""
    number = -(-count // most)
    return [slice(count * part // number, count * (part + 1) // number) for part in range(number)]


def _recomputed(states: Tensor, part: slice, evaluate: Evaluate) -> tuple[Tensor, Tensor]:
    """Return the evaluation, which is computed once more in the backward pass."""
    values, nats = checkpoint(evaluate, states[part], part, use_reentrant=False)
    return values, nats


class _WithGradient(Function):
    """Computes values together with their gradient in the hidden states.

    With L = sum_t g_t v_t(h_t), dL/dh_t = g_t dv_t/dh_t: the second factor is kept, the first comes with the backward
    pass.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, parts: list[slice], evaluate: Evaluate) -> tuple[Tensor, Tensor]:
        values, nats, slopes = [], [], []
        for part in parts:
            with torch.set_grad_enabled(ctx.needs_input_grad[0]):
                own = states[part].detach().requires_grad_(ctx.needs_input_grad[0])
                value, nat = evaluate(own, part)
            if ctx.needs_input_grad[0]:
                slopes.append(torch.autograd.grad(value, own, torch.ones_like(value))[0])
            values.append(value.detach())
            nats.append(nat.detach())
        if slopes:
            ctx.save_for_backward(torch.cat(slopes))
        none = states.new_zeros(0)
        found = torch.cat([none, *values]), torch.cat([none, *nats])
        ctx.mark_non_differentiable(found[1])
        return found

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None, None]:
        if not ctx.saved_tensors:
            return None, None, None
        (slopes,) = ctx.saved_tensors
        return upstream[0].unsqueeze(-1).to(slopes.dtype) * slopes, None, None
