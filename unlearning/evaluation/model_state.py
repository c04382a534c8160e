"""What a model can take, its context and its vocabulary; and how it is put in order to be scored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.errors import InputError


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards every module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def context_tokens(model: PreTrainedModel) -> int | None:
    """Longest sequence the model was made for; None if its configuration sets no limit."""
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit


def require_fits(model: PreTrainedModel, name: str, tokens: int, new_tokens: int) -> None:
    """Raise InputError unless so many tokens, and so many more, fit into the model's context."""
    limit = context_tokens(model)
    if limit is not None and tokens + new_tokens > limit:
        raise InputError(
            f"{name}: {tokens} tokens; the model's context of {limit} leaves no room for {new_tokens} more"
        )
    if not tokens:
        raise InputError(f"{name}: no tokens; must have 1 or more")


def allowed_new_tokens(model: PreTrainedModel, tokens: int, new_tokens: int) -> int:
    """New tokens after so many, at most `new_tokens`, within the model's context."""
    limit = context_tokens(model)
    return new_tokens if limit is None else min(new_tokens, limit - tokens)


def require_match(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise InputError if the tokenizer has tokens that the model has no embedding for."""
    embeddings = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > embeddings:
        raise InputError(
            f"tokenizer of {len(tokenizer)} tokens, model of {embeddings} embeddings: they do not belong together"
        )
