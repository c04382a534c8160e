"""Values of supervised positions from hidden states, with never more than a few logits in memory.

Logits are the largest tensor of a step: 50,000 numbers a position. They are made, looked at and dropped some positions
at a time. Where the output projection is frozen, the gradient of each position's value with respect to its hidden
state is taken at once, so that nothing is computed twice; where it moves, logits are made again in the backward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

MIB = 2**20
LOGITS_MIB = {"cpu": 24, "cuda": 1024}
"""Logits that are looked at together. A hundred rows of 50,000 make good matrix products; the C library gives layers
above 32 MiB back to the system each time, and asking for them anew takes longer than filling them."""

Evaluate = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""From hidden states (n, width) and the slice of positions they are of to values (n,) and cross-entropies (n,).

Position i's value must depend on hidden state i and on no other.
"""


def token_values(states: Tensor, evaluate: Evaluate, vocabulary: int, frozen: bool) -> tuple[Tensor, Tensor]:
    """(N,) values with gradient and (N,) cross-entropies without, of states (N, width).

    `vocabulary` sizes the chunks; `frozen` says that nothing that `evaluate` uses is trained.
    """
    parts = _parts(len(states), LOGITS_MIB.get(states.device.type, LOGITS_MIB["cpu"]) * MIB // (4 * vocabulary))
    if frozen:
        found: tuple[Tensor, Tensor] = _Once.apply(states, parts, evaluate)  # type: ignore[no-untyped-call]
        return found
    pairs = [_again(states, part, evaluate) if len(parts) > 1 else evaluate(states, part) for part in parts]
    if not pairs:
        return states.new_zeros(0), states.new_zeros(0)
    return torch.cat([values for values, _ in pairs]), torch.cat([nats for _, nats in pairs])


def _parts(count: int, most: int) -> list[slice]:
    """As few as possible, all about as long: the product with the few rows of a remainder would be a slow one."""
    number = -(-count // max(1, most))
    return [slice(count * part // number, count * (part + 1) // number) for part in range(number)]


def _again(states: Tensor, part: slice, evaluate: Evaluate) -> tuple[Tensor, Tensor]:
    """Evaluate now, and once more in the backward pass."""
    values, nats = checkpoint(evaluate, states[part], part, use_reentrant=False)
    return values, nats


class _Once(Function):
    """Values whose gradient with respect to the states is computed together with them.

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
