"""Greedy decoding of one batch, with draft tokens that are checked several at a time (speculative decoding).

Prompts are padded on the left, and rows that have ended leave the batch. The key-value cache has a slot for every token
that went through the model. The slots of rejected draft tokens are void: the attention mask hides them, positions are
counted without them, and they are cleared away in groups.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.evaluation.kv_cache import PreallocatedLayer, new_cache
from unlearning.evaluation.position_logits import most_likely_tokens
from unlearning.evaluation.speculative import MAX_DRAFT_TOKENS, draft_tokens
from unlearning.evaluation.stopping import StoppingRule
from unlearning.evaluation.threads import layer_weights, suitable_threads
from unlearning.models import anatomy
from unlearning.models.cache_name import CACHE_NAME

DROPPED_SHARE = 0.25
"""Least share of a batch's rows that leave it at once, since the rest of the cache is copied each time."""
DRAFTED_SHARE = 0.5
"""Least share of the rows that must have a draft for drafts to be checked: rows without one compute for nothing."""
VOID_SLOTS = 64
"""Most void slots of a row before they are cleared away, since the rest of the cache is copied each time."""


@dataclass
class PartialAnswer:
    """A row's prompt and the part of its answer that has been generated so far."""

    row: Row
    stopping_rule: StoppingRule
    prompt: list[int]
    likely_answers: list[list[int]]
    """Token ids of the answers that draft tokens are taken from."""
    limit: int
    """Most tokens of the answer."""
    expected_tokens: int
    """Tokens of the answer for which a batch makes room; a longer answer is continued in a later batch."""
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def length(self) -> int:
        """Number of tokens of the prompt and of the answer so far."""
        return len(self.prompt) + len(self.tokens)

    @property
    def room(self) -> int:
        """Most new tokens that its next batch generates."""
        return min(self.limit, self.expected_tokens) - len(self.tokens)

    def accept(self, best: Sequence[int], drafted: Sequence[int], ends: frozenset[int]) -> int:
        """Append the first token of `best`, and each one that follows a right draft token, until the answer ends.

        `best` are the most likely tokens, one after the last token and one after each draft token. Returns the number
        of tokens appended.
        """
        for count, token in enumerate(best, start=1):
            self.tokens.append(token)
            self.ended = token in ends or len(self.tokens) >= self.limit or self.stopping_rule.is_decided(self.tokens)
            if self.ended or count > len(drafted) or drafted[count - 1] != token:
                return count
        return len(best)


def slots_needed(width: int, room: int) -> int:
    """Return the most cache slots that a row takes: those of the prompt, of new tokens, and void ones."""
    return width + room + VOID_SLOTS + MAX_DRAFT_TOKENS


class DecodingBatch:
    """Rows that are decoded together; `rows` are those that have not left the batch."""

    def __init__(self, model: PreTrainedModel, answers: Sequence[PartialAnswer], ends: frozenset[int]) -> None:
        self.model = model
        self.decoder = anatomy.decoder(model)
        self.rows = list(answers)
        self.ends = ends
        self.room = max(answer.room for answer in answers)
        self.layer_weights = layer_weights(model)
        self.cache = new_cache(model, slots_needed(max(answer.length for answer in answers), self.room))
        self.takes_positions = "position_ids" in inspect.signature(self.decoder.forward).parameters
        # A sliding window counts slots, so none of them may be void, and it keeps too few for any to move.
        self.slots_may_move = all(type(layer) is PreallocatedLayer for layer in self.cache.layers)
        self.may_draft = self.takes_positions and bool(self.cache.layers) and self.slots_may_move
        self.mask = torch.empty(len(self.rows), 0, dtype=torch.long, device=model.device)

    def decode(self) -> None:
        """Generate tokens of all rows until each has ended or used up its room."""
        ids, mask = left_padded([answer.prompt + answer.tokens for answer in self.rows], self.model.device)
        nothing: list[list[int]] = [[] for _ in self.rows]
        best = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), nothing)
        self._accept(best, nothing)
        while self.rows and self.room > 0:
            drafts = self._drafts()
            width = max(map(len, drafts)) + 1
            last = [[answer.tokens[-1], *draft] for answer, draft in zip(self.rows, drafts, strict=True)]
            ids = torch.tensor([line + [0] * (width - len(line)) for line in last], device=self.model.device)
            starts = torch.tensor([[answer.length - 1] for answer in self.rows], device=self.model.device)
            positions = starts + torch.arange(width, device=self.model.device)
            with suitable_threads(self.layer_weights, ids.numel(), ids.device):
                best = self._forward(ids, torch.ones_like(ids), positions, drafts)
            self._accept(best, drafts)

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, drafts: Sequence[Sequence[int]]) -> Tensor:
        """Return the most likely tokens (B, 1 + longest draft): after each row's last token and each of its drafts.

        The ids (B, T) end with the drafts; behind a shorter draft the tokens are 0. Raises InputError for logits that
        are not a number.
        """
        self.mask = torch.cat([self.mask, mask], dim=1)
        places = {"position_ids": positions} if self.takes_positions else {}
        cache = {CACHE_NAME: self.cache}
        states = self.decoder(input_ids=ids, attention_mask=self.mask, use_cache=True, **cache, **places)[0]
        lengths = torch.tensor([len(draft) for draft in drafts], device=ids.device)
        width = int(lengths.max()) + 1
        wanted = torch.arange(width, device=ids.device) <= lengths[:, None]
        highest, tokens = most_likely_tokens(self.model, self.decoder, states[:, -width:][wanted])
        if bool(highest.isnan().any()):
            broken = self.rows[int(wanted.nonzero()[highest.isnan()][0, 0])].row.id
            raise InputError(f"row {broken}: the model's logits are not a number (NaN); its weights are broken")
        best = torch.zeros(wanted.shape, dtype=torch.long, device=ids.device)
        best[wanted] = tokens
        return best

    def _drafts(self) -> list[list[int]]:
        """Return the draft tokens of each row; all are empty where checking them would take longer than it saves."""
        none: list[list[int]] = [[] for _ in self.rows]
        if not self.may_draft:
            return none
        # The last token that context or limit allow is never drafted, so that no position lies beyond the context.
        drafts = [
            []
            if answer.ended
            else draft_tokens(answer.tokens, answer.likely_answers)[: answer.limit - len(answer.tokens) - 1]
            for answer in self.rows
        ]
        return drafts if sum(map(bool, drafts)) >= DRAFTED_SHARE * len(drafts) else none

    def _accept(self, best: Tensor, drafts: Sequence[Sequence[int]]) -> None:
        """Append the accepted tokens, mark the slots of rejected drafts as void, and drop rows that have ended."""
        counts = [
            1 if answer.ended else answer.accept(line, draft, self.ends)
            for answer, line, draft in zip(self.rows, best.tolist(), drafts, strict=True)
        ]
        width = best.shape[1]
        if width > 1:
            kept = torch.tensor(counts, device=best.device)[:, None]
            self.mask[:, -width:] = torch.arange(width, device=best.device) < kept
        going_on = [index for index, answer in enumerate(self.rows) if not answer.ended]
        self.room = max((self.rows[index].room for index in going_on), default=0)
        if len(self.rows) - len(going_on) >= DROPPED_SHARE * len(self.rows):
            self._keep(going_on)
        elif width > 1:
            self._clear_void()

    def _keep(self, rows: list[int]) -> None:
        """Drop all rows but these, from the cache too."""
        self.rows = [self.rows[index] for index in rows]
        if rows:
            self.cache.batch_select_indices(torch.tensor(rows, device=self.model.device))
            self.mask = self.mask[rows]
            self._clear_void()

    def _clear_void(self) -> None:
        """Move each row's slots to the right, over its void ones, where every row has VOID_SLOTS of these or more.

        Padding is void too: without the longest prompts, whose rows have left the batch, all others have some.
        """
        width = int(self.mask.sum(1).max())
        if not self.slots_may_move or self.mask.shape[1] - width < VOID_SLOTS:
            return
        order = self.mask.argsort(dim=1, stable=True)[:, -width:]
        for layer in self.cache.layers:
            layer.select_slots(order)
        self.mask = self.mask.gather(1, order)


def left_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, both (B, T); the padding, on the left, is token 0 with mask 0."""
    width = max(map(len, sequences))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return ids.to(device), mask.to(device)
