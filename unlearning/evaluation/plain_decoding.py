"""Decoding by `generate` of transformers: greedy, for models that keep a state in place of keys and values, or random.

The caches of such models cannot be cut or reordered, and some of them read padding. So prompts of one length share a
batch, nothing is padded, and a row that has ended stays in its batch until all have ended.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, GenerationConfig, LogitsProcessor, PreTrainedModel, StoppingCriteria

from unlearning.errors import InputError
from unlearning.evaluation.decoding import PartialAnswer
from unlearning.models.cache_name import CACHE_NAME


def decode_plainly(
    model: PreTrainedModel,
    answers: Sequence[PartialAnswer],
    ends: frozenset[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> None:
    """Generate tokens of all answers until each has ended.

    A batch holds at most `batch_tokens` tokens, or one row. After each batch `advance` is called with its size.
    Raises InputError for logits that are not a number.
    """
    for batch in _batches(answers, batch_tokens):
        settings = GenerationConfig(max_new_tokens=batch[0].limit, do_sample=False, pad_token_id=0)
        decode_batch(model, batch, ends, settings, None)
        advance(len(batch))


def decode_batch(
    model: PreTrainedModel,
    batch: Sequence[PartialAnswer],
    ends: frozenset[int],
    settings: GenerationConfig,
    cache: Cache | None,
) -> None:
    """Generate tokens of all answers, whose prompts have one length, until each has ended.

    `cache` may hold the first tokens of the prompts. Raises InputError for logits that are not a number.
    """
    ids = torch.tensor([answer.prompt for answer in batch], device=model.device)
    with _only(model, settings):
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            logits_processor=[_RefuseNan(batch)],
            stopping_criteria=[_Accept(batch, ends)],
            **{CACHE_NAME: cache},
        )


def _batches(answers: Sequence[PartialAnswer], batch_tokens: int) -> Iterator[list[PartialAnswer]]:
    """Yield answers whose prompts have one length, the longest first; their limits are the same too."""
    by_length: dict[int, list[PartialAnswer]] = {}
    for answer in answers:
        by_length.setdefault(len(answer.prompt), []).append(answer)
    for length, own in sorted(by_length.items(), reverse=True):
        size = max(1, batch_tokens // (length + own[0].limit))
        for start in range(0, len(own), size):
            yield own[start : start + size]


@contextmanager
def _only(model: PreTrainedModel, settings: GenerationConfig) -> Iterator[None]:
    """Put these settings in the place of the model's own, from which `generate` takes whatever is not set."""
    own = model.generation_config
    model.generation_config = settings
    try:
        yield
    finally:
        model.generation_config = own


class _RefuseNan(LogitsProcessor):  # type: ignore[misc]
    """Raises InputError with the row's id for logits (B, V) that are not a number."""

    def __init__(self, batch: Sequence[PartialAnswer]) -> None:
        self.batch = batch

    def __call__(self, _input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits as they are."""
        broken = scores.isnan().any(1).tolist()
        if any(broken):
            name = self.batch[broken.index(True)].row.id
            raise InputError(f"row {name}: the model's logits are not a number (NaN); its weights are broken")
        return scores


class _Accept(StoppingCriteria):  # type: ignore[misc]
    """Appends each new token to its answer, and says which answers have ended."""

    def __init__(self, batch: Sequence[PartialAnswer], ends: frozenset[int]) -> None:
        self.batch, self.ends = batch, ends

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_: Any) -> Tensor:
        """Return (B,) bool, after the last token of input_ids (B, T) has been accepted."""
        for answer, token in zip(self.batch, input_ids[:, -1].tolist(), strict=True):
            if not answer.ended:
                answer.accept([token], [], self.ends)
        return torch.tensor([answer.ended for answer in self.batch], device=input_ids.device)
