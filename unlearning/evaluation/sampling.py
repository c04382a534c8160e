"""Sampled answers: many random continuations of each prompt, drawn by `generate` of transformers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Row
from unlearning.evaluation.decoding import PartialAnswer
from unlearning.evaluation.model_state import allowed_new_tokens, evaluation_mode, require_fits
from unlearning.evaluation.plain_decoding import decode_batch
from unlearning.evaluation.stopping import StoppingRule
from unlearning.evaluation.text import StableText, official_text
from unlearning.models.cache_name import CACHE_NAME
from unlearning.models.capabilities import capabilities
from unlearning.progress.shown import shown_progress


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    samples: int
    """Number of samples of each row."""
    temperature: float
    """The logits are divided by it."""
    top_p: float
    """Only the likeliest tokens are drawn whose probabilities together reach this; 1: all tokens."""
    seed: int
    """The draws of a row depend on this, on its place among the rows, and on the model."""


def sample_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    ends: frozenset[int],
    max_new_tokens: int,
    batch_tokens: int,
    sampling: Sampling,
) -> list[list[str]]:
    """Return `sampling.samples` random answers to each row, decoded as by the official evaluator.

    A text ends where greedy answers end (`generation.generate`): at a token of `ends`, where no further token can
    change its score, and at the end of the model's context. A batch holds samples of one row: at most `batch_tokens`
    tokens, or one sample. The global random state is left as it was.

    Raises InputError for a prompt that leaves no room in the context, and for logits that are not a number.
    """
    stable_text = StableText(tokenizer)
    # Without top_k=0, transformers would draw from the 50 likeliest tokens only.
    drawn = GenerationConfig(
        do_sample=True, temperature=sampling.temperature, top_p=sampling.top_p, top_k=0, pad_token_id=0
    )
    texts = []
    with evaluation_mode(model), torch.random.fork_rng(), shown_progress("samples", len(rows)) as advance:
        for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
            require_fits(model, f"row {row.id}", len(prompt), 1)
            drawn.max_new_tokens = limit = allowed_new_tokens(model, len(prompt), max_new_tokens)
            rule = StoppingRule(row, stable_text)
            answers = [PartialAnswer(row, rule, prompt, [], limit, limit) for _ in range(sampling.samples)]
            torch.manual_seed(sampling.seed + place)
            size = max(1, batch_tokens // (len(prompt) + limit))
            for start in range(0, len(answers), size):
                batch = answers[start : start + size]
                decode_batch(model, batch, ends, drawn, _shared_prompt(model, prompt, len(batch)))
            texts.append([official_text(tokenizer, answer.tokens) for answer in answers])
            advance(1)
    return texts


def _shared_prompt(model: PreTrainedModel, prompt: Sequence[int], rows: int) -> DynamicCache | None:
    """Return a cache of so many rows that holds all tokens of the prompt but the last one, computed once.

    None where there is no such token, or where the model's cache cannot be branched.
    """
    if len(prompt) < 2 or not capabilities(model).branches:
        return None
    cache = DynamicCache(config=model.config)
    ids: Tensor = torch.tensor([list(prompt[:-1])], device=model.device)
    model(input_ids=ids, use_cache=True, logits_to_keep=1, **{CACHE_NAME: cache})
    cache.batch_repeat_interleave(rows)
    return cache
