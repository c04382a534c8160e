"""Log-likelihoods of several continuations of each prompt, of which each prompt goes through the model once."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from unlearning.evaluation.decoding import left_padded
from unlearning.evaluation.kv_cache import new_cache
from unlearning.evaluation.likelihood import right_padded
from unlearning.evaluation.model_state import evaluation_mode
from unlearning.evaluation.position_logits import log_probabilities
from unlearning.models import anatomy


@dataclass(frozen=True)
class PromptContinuations:
    """A prompt of one token or more, and continuations of one token or more."""

    prompt: Sequence[int]
    branches: Sequence[Sequence[int]]
    unscored: Sequence[int]
    """Tokens at the beginning of each branch that its likelihood does not count."""

    @property
    def longest(self) -> int:
        """Tokens of its longest branch."""
        return max(map(len, self.branches))


def continuation_log_likelihoods(
    model: PreTrainedModel, items: Sequence[PromptContinuations], batch_tokens: int, advance: Callable[[int], None]
) -> list[list[float]]:
    """Summed log p(token | prompt and tokens before it), in nats, over the counted tokens of each branch.

    Computed in float32 or better; NaN where the model yields NaN. A batch holds at most `batch_tokens` cache slots, or
    one item; `advance` is told of its branches.
    """
    sums: list[list[float]] = [[] for _ in items]
    with evaluation_mode(model):
        for batch in _batches(items, batch_tokens):
            for index, found in zip(batch, _Batch(model, [items[index] for index in batch]).sums(), strict=True):
                sums[index] = found
            advance(sum(len(items[index].branches) for index in batch))
    return sums


def _batches(items: Sequence[PromptContinuations], batch_tokens: int) -> list[list[int]]:
    """Indices, longest prompts first."""
    batches: list[list[int]] = []
    rows = width = longest = 0
    for index in sorted(range(len(items)), key=lambda place: (-len(items[place].prompt), -items[place].longest)):
        item = items[index]
        rows, longest = rows + len(item.branches), max(longest, item.longest)
        if not batches or rows * (width + longest) > batch_tokens:
            batches.append([])
            rows, width, longest = len(item.branches), len(item.prompt), item.longest
        batches[-1].append(index)
    return batches


class _Batch:
    """Items that go through the model together: all prompts, then all branches but the last token of each.

    Prompts are padded on the left, so that each ends where its branches begin.
    """

    def __init__(self, model: PreTrainedModel, items: Sequence[PromptContinuations]) -> None:
        self.model = model
        self.decoder = anatomy.decoder(model)
        self.items = items
        self.takes_positions = "position_ids" in inspect.signature(self.decoder.forward).parameters

    def sums(self) -> list[list[float]]:
        """Of each item's branches."""
        cache = new_cache(self.model)
        ids, mask = left_padded([item.prompt for item in self.items], self.model.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        ends = self._states(ids, mask, positions, cache)[:, -1]
        branches = [(place, branch) for place, item in enumerate(self.items) for branch in item.branches]
        first = self._picked(ends, [place for place, _ in branches], [branch[0] for _, branch in branches])
        rest = iter(self._rest([(place, branch) for place, branch in branches if len(branch) > 1], mask, cache))
        values = iter(first)
        return [
            [
                sum([next(values), *(next(rest) if len(branch) > 1 else [])][unscored:])
                for branch, unscored in zip(item.branches, item.unscored, strict=True)
            ]
            for item in self.items
        ]

    def _rest(
        self, branches: Sequence[tuple[int, Sequence[int]]], mask: Tensor, cache: DynamicCache
    ) -> list[list[float]]:
        """Log p of the tokens after the first one of each branch, given with the place of its item."""
        if not branches:
            return []
        owners = torch.tensor([place for place, _ in branches], device=self.model.device)
        cache.batch_select_indices(owners)
        ids = right_padded([branch[:-1] for _, branch in branches], self.model.device)
        starts = torch.tensor([[len(self.items[place].prompt)] for place, _ in branches], device=ids.device)
        positions = starts + torch.arange(ids.shape[1], device=ids.device)
        states = self._states(ids, torch.cat([mask[owners], torch.ones_like(ids)], dim=1), positions, cache)
        counts = torch.tensor([len(branch) - 1 for _, branch in branches], device=ids.device)
        wanted = torch.arange(ids.shape[1], device=ids.device) < counts[:, None]
        tokens = [token for _, branch in branches for token in branch[1:]]
        values = iter(self._picked(states[wanted], range(len(tokens)), tokens))
        return [[next(values) for _ in branch[1:]] for _, branch in branches]

    def _states(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """(B, T, width) of the decoder at ids (B, T), behind what is in the cache."""
        places = {"position_ids": positions} if self.takes_positions else {}
        found: Tensor = self.decoder(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **places
        )[0]
        return found

    def _picked(self, states: Tensor, places: Sequence[int], tokens: Sequence[int]) -> list[float]:
        where, which = (torch.tensor(list(some), device=states.device) for some in (places, tokens))
        return log_probabilities(self.model, self.decoder, states, where, which).tolist()
