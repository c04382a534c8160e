"""Whether a tokenizer belongs to a model: an embedding for each of its tokens, and one token that ends a text."""

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.errors import InputError


def require_match(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise InputError if the tokenizer has tokens for which the model has no embedding."""
    embeddings = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > embeddings:
        raise InputError(
            f"tokenizer of {len(tokenizer)} tokens, model of {embeddings} embeddings: they do not belong together; "
            "model.tokenizer names another tokenizer"
        )


def end_of_text_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Return all end-of-text tokens that the model's configuration and its generation_config name, often one."""
    named: set[int] = set()
    for settings in (model.config.get_text_config(), model.config, model.generation_config):
        found = getattr(settings, "eos_token_id", None)
        named.update([found] if isinstance(found, int) else found or [])
    return frozenset(named)


def end_of_text_notice(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return a line that says which end-of-text tokens the model and the tokenizer name, if they differ; else None."""
    named = end_of_text_tokens(model)
    if not named or tokenizer.eos_token_id in named:
        return None
    texts = ", ".join(f"{token} {tokenizer.convert_ids_to_tokens(token)!r}" for token in sorted(named))
    return (
        f"the model's configuration ends texts with {texts}, its tokenizer with {tokenizer.eos_token_id} "
        f"{tokenizer.eos_token!r}: rows end with the tokenizer's, and each of these ends an answer"
    )
