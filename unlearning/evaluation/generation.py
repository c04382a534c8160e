"""Greedy answers to many prompts at once, equal to one prompt at a time.

Rows of like length share a batch, padded on the left; a row leaves it once it has ended or once no further token can
change its score. Equal up to rounding: in bfloat16 a batch may break a near-tie otherwise than a single row.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Kind, Row
from unlearning.errors import InputError
from unlearning.evaluation.kv_cache import new_cache, select_rows
from unlearning.evaluation.model_state import require_fits, room_for, scoring
from unlearning.evaluation.progress import progress_bar
from unlearning.evaluation.stopping import RowWatch
from unlearning.evaluation.text import SettledText, official_text

ANSWER_STEP_TOKENS = 16
DROPPED_SHARE = 0.25
"""Rows leave a batch in groups of this share at least, since each time the rest of the cache is copied."""


@dataclass
class Answer:
    """A row's prompt and what has been generated so far."""

    row: Row
    watch: RowWatch
    prompt: list[int]
    limit: int
    """New tokens at most."""
    expected_tokens: int
    """New tokens for which a batch makes room; an answer that grows beyond goes on in a later batch."""
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def length(self) -> int:
        """Tokens that its next batch starts with."""
        return len(self.prompt) + len(self.tokens)

    @property
    def room(self) -> int:
        """New tokens in its next batch, at most."""
        return min(self.limit, self.expected_tokens) - len(self.tokens)

    def add(self, token: int, ends: frozenset[int]) -> None:
        """Append a token and decide whether the row goes on."""
        self.tokens.append(token)
        self.ended = token in ends or len(self.tokens) >= self.limit or self.watch.decided(self.tokens)


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch_tokens: int,
) -> list[str]:
    """Greedy continuations as the official evaluator decodes them, in the order of the rows.

    `prompts` holds each row's token ids. A question's text ends where it can no longer match, a completion's where
    its recall is already 1; a row also ends where the model's context does. Plain arg max: settings of the model's
    generation_config other than its end-of-text tokens are not applied. A batch holds at most `batch_tokens` cache
    slots, or one row.

    Raises InputError for a prompt that leaves no room in the context, and for logits that are not a number.
    """
    settled_text = SettledText(tokenizer)
    answers = []
    for row, prompt in zip(rows, prompts, strict=True):
        require_fits(model, f"row {row.id}", len(prompt), 1)
        limit = room_for(model, len(prompt), max_new_tokens)
        expected = limit if row.kind is Kind.COMPLETION else _answer_tokens(tokenizer, row)
        answers.append(Answer(row, RowWatch(row, settled_text), prompt, limit, expected))
    waiting, ends = list(answers), end_tokens(model, tokenizer)
    with scoring(model), progress_bar("generation", len(answers)) as advance:
        while waiting:
            batch, waiting = _next_batch(waiting, batch_tokens)
            _decode(model, batch, ends)
            unfinished = [answer for answer in batch if not answer.ended]
            for answer in unfinished:
                answer.expected_tokens = answer.limit
            waiting += unfinished
            advance(len(batch) - len(unfinished))
    return [official_text(tokenizer, answer.tokens) for answer in answers]


def _answer_tokens(tokenizer: PreTrainedTokenizerBase, row: Row) -> int:
    """New tokens after which hardly a question's row is undecided; in whole steps, so that many rows agree."""
    tokens = len(tokenizer(row.output)["input_ids"])
    return (tokens // ANSWER_STEP_TOKENS + 2) * ANSWER_STEP_TOKENS


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end an answer: those of the model's generation_config, else the tokenizer's."""
    settings = model.generation_config
    ends = None if settings is None else settings.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    if ends is None:
        return frozenset()
    return frozenset([ends] if isinstance(ends, int) else ends)


def _next_batch(waiting: list[Answer], batch_tokens: int) -> tuple[list[Answer], list[Answer]]:
    """The longest rows that fit together, and the rest: the first batch shows whether memory suffices."""
    ordered = sorted(waiting, key=lambda answer: (-answer.room, -answer.length))
    room, width, size = ordered[0].room, 0, 0
    for answer in ordered:
        width = max(width, answer.length)
        if size and (size + 1) * (width + room) > batch_tokens:
            break
        size += 1
    return ordered[:size], ordered[size:]


def _decode(model: PreTrainedModel, batch: list[Answer], ends: frozenset[int]) -> None:
    """Go on with all rows of the batch until each has ended or used up its room."""
    steps = max(answer.room for answer in batch)
    ids, mask = _left_padded(batch, steps, model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    cache, seen, live = new_cache(model), 0, batch
    for _ in range(steps):
        end = seen + ids.shape[1]
        places = {"position_ids": positions[:, seen:end]} if takes_positions else {}
        output = model(
            input_ids=ids,
            attention_mask=mask[:, :end],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **places,
        )
        ids, seen = _best(output.logits[:, -1], live), end
        for answer, token in zip(live, ids[:, 0].tolist(), strict=True):
            if not answer.ended:
                answer.add(token, ends)
        going_on = [index for index, answer in enumerate(live) if not answer.ended]
        if not going_on:
            return
        if len(live) - len(going_on) >= DROPPED_SHARE * len(live):
            select_rows(cache, going_on, model.device)
            ids, mask, positions = ids[going_on], mask[going_on], positions[going_on]
            live = [live[index] for index in going_on]


def _left_padded(batch: list[Answer], steps: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (B, T), padded on the left with token 0, and the mask (B, T + steps), 0 where the padding is."""
    sequences = [answer.prompt + answer.tokens for answer in batch]
    width = max(map(len, sequences))
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.ones(len(batch), width + steps, dtype=torch.long)
    for index, sequence in enumerate(sequences):
        ids[index, width - len(sequence) :] = torch.tensor(sequence)
        mask[index, : width - len(sequence)] = 0
    return ids.to(device), mask.to(device)


def _best(logits: Tensor, live: list[Answer]) -> Tensor:
    """The tokens of highest logit, (B, 1). Raises InputError if a row's logits are not a number."""
    highest, tokens = logits.max(-1, keepdim=True)
    if bool(highest.isnan().any()):
        broken = next(answer for answer, bad in zip(live, highest[:, 0].isnan().tolist(), strict=True) if bad)
        raise InputError(f"row {broken.row.id}: the model's logits are not a number (NaN); its weights are broken")
    return tokens
