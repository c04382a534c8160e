"""The output projection at the positions that are asked for and no others, with few logits in memory at a time.

With a vocabulary of 50,000 the projection takes longer than the layers of a small model, and logits of all positions at
once half as long again, for memory that is new each time.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.models.projection import project
from unlearning.models.token_values import LOGITS_MIB, MIB


def logits_by_part(model: PreTrainedModel, decoder: nn.Module, states: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Logits (n, V), float32 or better, of some of the decoder's states (N, width) at a time, and of which."""
    vocabulary: int = model.get_input_embeddings().weight.shape[0]
    most = max(1, LOGITS_MIB.get(states.device.type, LOGITS_MIB["cpu"]) * MIB // (4 * vocabulary))
    number = -(-len(states) // most)
    for part in range(number):
        some = slice(len(states) * part // number, len(states) * (part + 1) // number)
        yield some, project(model, decoder, states[some])


def log_probabilities(
    model: PreTrainedModel, decoder: nn.Module, states: Tensor, places: Tensor, tokens: Tensor
) -> Tensor:
    """Log p (M,), in nats, of tokens (M,) after the states (N, width) at places (M,)."""
    values = torch.zeros(len(tokens), dtype=torch.promote_types(states.dtype, torch.float32), device=states.device)
    for some, logits in logits_by_part(model, decoder, states):
        own = (places >= some.start) & (places < some.stop)
        rows = places[own] - some.start
        values[own] = logits[rows, tokens[own]] - logits.logsumexp(1)[rows]
    return values


def most_likely_tokens(model: PreTrainedModel, decoder: nn.Module, states: Tensor) -> tuple[Tensor, Tensor]:
    """Highest logit (N,), NaN where one is NaN, and its token (N,), the first of equals, after states (N, width)."""
    found = [_highest(logits) for _, logits in logits_by_part(model, decoder, states)]
    return torch.cat([values for values, _ in found]), torch.cat([tokens for _, tokens in found])


def _highest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """`logits.max(1)`, stretch by stretch: a fifth of the time on a CPU, which is fast at values and slow at places."""
    rows, vocabulary = logits.shape
    stretch = next((size for size in range(256, 31, -1) if vocabulary % size == 0), vocabulary)
    stretches = logits.view(rows, -1, stretch)
    values, place = stretches.amax(2).max(1)
    inside = stretches[torch.arange(rows, device=logits.device), place].argmax(1)
    return values, place * stretch + inside
