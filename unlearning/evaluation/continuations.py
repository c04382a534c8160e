"""Log-likelihoods of several continuations of each prompt, for which each prompt goes through the model only once."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from unlearning.evaluation.decoding import left_padded
from unlearning.evaluation.kv_cache import new_cache
from unlearning.evaluation.likelihood import log_likelihoods, right_padded
from unlearning.evaluation.model_state import evaluation_mode
from unlearning.evaluation.position_logits import log_probabilities
from unlearning.models import anatomy
from unlearning.models.cache_name import CACHE_NAME
from unlearning.models.capabilities import capabilities


@dataclass(frozen=True)
class PromptContinuations:
    """A prompt and its continuations, as token ids; each has one token or more."""

    prompt: Sequence[int]
    continuations: Sequence[Sequence[int]]
    unscored: Sequence[int]
    """Number of tokens at the beginning of each continuation that its likelihood does not count."""

    @property
    def longest(self) -> int:
        """Number of tokens of the longest continuation."""
        return max(map(len, self.continuations))


def continuation_log_likelihoods(
    model: PreTrainedModel, items: Sequence[PromptContinuations], batch_tokens: int, advance: Callable[[int], None]
) -> list[list[float]]:
    """Return, for each item, the log-likelihood of each of its continuations, in nats.

    It is the sum of log p(token | prompt and tokens before it) over the counted tokens, computed in float32 or better,
    and NaN where the model yields NaN. A batch holds at most `batch_tokens` cache slots, or one item. After each batch
    `advance` is called with the number of its continuations.
    """
    if not capabilities(model).branches:
        return _whole_log_likelihoods(model, items, batch_tokens, advance)
    sums: list[list[float]] = [[] for _ in items]
    with evaluation_mode(model):
        for batch in _batches(items, batch_tokens):
            found = _ContinuationBatch(model, [items[index] for index in batch]).sums()
            for index, own in zip(batch, found, strict=True):
                sums[index] = own
            advance(sum(len(items[index].continuations) for index in batch))
    return sums


def _whole_log_likelihoods(
    model: PreTrainedModel, items: Sequence[PromptContinuations], batch_tokens: int, advance: Callable[[int], None]
) -> list[list[float]]:
    """Return the same, where each continuation goes through the model behind a prompt of its own."""
    sequences, starts = [], []
    for item in items:
        for continuation, unscored in zip(item.continuations, item.unscored, strict=True):
            sequences.append([*item.prompt, *continuation])
            starts.append(len(item.prompt) + unscored)
    found = iter(log_likelihoods(model, sequences, starts, batch_tokens, advance))
    return [[next(found) for _ in item.continuations] for item in items]


def _batches(items: Sequence[PromptContinuations], batch_tokens: int) -> list[list[int]]:
    """Return the items' indices in batches, those with the longest prompts first."""
    batches: list[list[int]] = []
    rows = width = longest = 0
    for index in sorted(range(len(items)), key=lambda place: (-len(items[place].prompt), -items[place].longest)):
        item = items[index]
        rows, longest = rows + len(item.continuations), max(longest, item.longest)
        if not batches or rows * (width + longest) > batch_tokens:
            batches.append([])
            rows, width, longest = len(item.continuations), len(item.prompt), item.longest
        batches[-1].append(index)
    return batches


class _ContinuationBatch:
    """Items that go through the model together: first all prompts, then all continuations without their last tokens.

    Prompts are padded on the left, so that each ends where its continuations begin.
    """

    def __init__(self, model: PreTrainedModel, items: Sequence[PromptContinuations]) -> None:
        self.model = model
        self.decoder = anatomy.decoder(model)
        self.items = items
        self.takes_positions = "position_ids" in inspect.signature(self.decoder.forward).parameters

    def sums(self) -> list[list[float]]:
        """Return, for each item, the log-likelihood of each of its continuations."""
        cache = new_cache(self.model)
        ids, mask = left_padded([item.prompt for item in self.items], self.model.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        ends = self._states(ids, mask, positions, cache)[:, -1]
        pairs = [(place, tokens) for place, item in enumerate(self.items) for tokens in item.continuations]
        first = self._picked(ends, [place for place, _ in pairs], [tokens[0] for _, tokens in pairs])
        rest = iter(self._rest([(place, tokens) for place, tokens in pairs if len(tokens) > 1], mask, cache))
        values = iter(first)
        return [
            [
                sum([next(values), *(next(rest) if len(tokens) > 1 else [])][unscored:])
                for tokens, unscored in zip(item.continuations, item.unscored, strict=True)
            ]
            for item in self.items
        ]

    def _rest(
        self, continuations: Sequence[tuple[int, Sequence[int]]], mask: Tensor, cache: DynamicCache
    ) -> list[list[float]]:
        """Return log p of the tokens after the first one of each continuation.

        `continuations` are pairs of the item's index in the batch and the continuation.
        """
        if not continuations:
            return []
        owners = torch.tensor([place for place, _ in continuations], device=self.model.device)
        cache.batch_select_indices(owners)
        ids = right_padded([continuation[:-1] for _, continuation in continuations], self.model.device)
        starts = torch.tensor([[len(self.items[place].prompt)] for place, _ in continuations], device=ids.device)
        positions = starts + torch.arange(ids.shape[1], device=ids.device)
        states = self._states(ids, torch.cat([mask[owners], torch.ones_like(ids)], dim=1), positions, cache)
        counts = torch.tensor([len(continuation) - 1 for _, continuation in continuations], device=ids.device)
        wanted = torch.arange(ids.shape[1], device=ids.device) < counts[:, None]
        tokens = [token for _, continuation in continuations for token in continuation[1:]]
        values = iter(self._picked(states[wanted], range(len(tokens)), tokens))
        return [[next(values) for _ in continuation[1:]] for _, continuation in continuations]

    def _states(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Return the decoder's states (B, T, width) at ids (B, T), which follow the tokens in the cache."""
        places = {"position_ids": positions} if self.takes_positions else {}
        given = {CACHE_NAME: cache}
        found: Tensor = self.decoder(input_ids=ids, attention_mask=mask, use_cache=True, **given, **places)[0]
        return found

    def _picked(self, states: Tensor, places: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Return log p of each token after the state at its place."""
        where, which = (torch.tensor(list(some), device=states.device) for some in (places, tokens))
        return log_probabilities(self.model, self.decoder, states, where, which).tolist()
