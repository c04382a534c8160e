"""The output projection at chosen positions only, with few logits in memory at a time.

With a vocabulary of 50,000 the projection takes longer than the layers of a small model. Logits of all positions at
once take half as long again, because their memory is allocated anew each time.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.models.projection import project
from unlearning.models.token_values import tokens_together


def logits_by_part(model: PreTrainedModel, decoder: nn.Module, states: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the logits of the decoder's states (N, width), part by part: which states, and logits (n, V) of them.

    The logits are in float32 or better.
    """
    vocabulary: int = model.get_input_embeddings().weight.shape[0]
    number = -(-len(states) // tokens_together(states.device.type, vocabulary))
    for part in range(number):
        some = slice(len(states) * part // number, len(states) * (part + 1) // number)
        yield some, project(model, decoder, states[some])


def log_probabilities(
    model: PreTrainedModel, decoder: nn.Module, states: Tensor, places: Tensor, tokens: Tensor
) -> Tensor:
    """Return log p (M,), in nats, of tokens (M,), each after the state at its place (M,) among states (N, width)."""
    values = torch.zeros(len(tokens), dtype=torch.promote_types(states.dtype, torch.float32), device=states.device)
    for some, logits in logits_by_part(model, decoder, states):
        own = (places >= some.start) & (places < some.stop)
        rows = places[own] - some.start
        # Some models make float32 logits of float64 states.
        values[own] = (logits[rows, tokens[own]] - logits.logsumexp(1)[rows]).to(values.dtype)
    return values


def most_likely_tokens(model: PreTrainedModel, decoder: nn.Module, states: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest logit (N,) after each of the states (N, width), and its token (N,), the first of equals.

    The logit is NaN where any logit is NaN.
    """
    found = [_highest(logits) for _, logits in logits_by_part(model, decoder, states)]
    return torch.cat([values for values, _ in found]), torch.cat([tokens for _, tokens in found])


def _highest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return `logits.max(1)`.

    It is computed stretch by stretch, which takes a fifth of the time on a CPU: finding the greatest value is fast
    there, and finding its index is slow.
    """
    rows, vocabulary = logits.shape
    stretch = next((size for size in range(256, 31, -1) if vocabulary % size == 0), vocabulary)
    stretches = logits.view(rows, -1, stretch)
    values, place = stretches.amax(2).max(1)
    inside = stretches[torch.arange(rows, device=logits.device), place].argmax(1)
    return values, place * stretch + inside
