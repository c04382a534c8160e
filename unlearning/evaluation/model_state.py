"""How much a model can be asked (its context), and the mode that it is in while it is scored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from unlearning.errors import InputError


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Put the model into evaluation mode without gradients; afterwards every module is in its former mode again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def context_tokens(model: PreTrainedModel) -> int | None:
    """Return the longest sequence that the model was made for; None if its configuration sets no limit."""
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit


def require_fits(model: PreTrainedModel, name: str, tokens: int, new_tokens: int) -> None:
    """Raise InputError unless `tokens` is 1 or more and, with `new_tokens` more, fits into the model's context."""
    limit = context_tokens(model)
    if limit is not None and tokens + new_tokens > limit:
        raise InputError(
            f"{name}: {tokens} tokens; the model's context of {limit} leaves no room for {new_tokens} more"
        )
    if not tokens:
        raise InputError(f"{name}: no tokens; must have 1 or more")


def allowed_new_tokens(model: PreTrainedModel, tokens: int, new_tokens: int) -> int:
    """Return how many new tokens, at most `new_tokens`, fit into the model's context after `tokens` tokens."""
    limit = context_tokens(model)
    return new_tokens if limit is None else min(new_tokens, limit - tokens)
