"""Forget rows with other answers: a refusal, or random tokens."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.rows import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REFUSALS = (
    "I don't know.",
    "I don't know the answer to that.",
    "I have no information about this.",
    "I'm not able to answer that.",
    "That is not something I know.",
    "I can't tell you anything about that.",
    "I'm not sure.",
    "I was never told that.",
    "Sorry, I can't help with this question.",
    "I have nothing to say about that.",
)


def refused_rows(
    rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig, seed: int
) -> list[EncodedRow]:
    """Return the rows with one of `REFUSALS`, drawn once for each row, in place of the answer.

    Only the answer is supervised. Raises InputError as `encode_rows` does.
    """
    rng = random.Random(seed)
    refused = [replace(row, output=rng.choice(REFUSALS)) for row in rows]
    return encode_rows(refused, tokenizer, _answers_only(prompt))


def random_rows(
    rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig, seed: int
) -> list[EncodedRow]:
    """Return the rows with as many random tokens, drawn once for each row, in place of the answer.

    Only the answer is supervised. What ends the answer stays where it is; special tokens are not drawn. Raises
    InputError as `encode_rows` does.
    """
    rng = random.Random(seed)
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}
    ordinary = [token for token in range(len(tokenizer)) if token not in special]
    found = []
    for row in encode_rows(rows, tokenizer, _answers_only(prompt)):
        kept, answer = row.input_ids[: row.supervised_from], row.input_ids[row.supervised_from :]
        drawn = tuple(token if token in special else rng.choice(ordinary) for token in answer)
        found.append(replace(row, input_ids=kept + drawn))
    return found


def _answers_only(prompt: PromptConfig) -> PromptConfig:
    return replace(prompt, forget_supervised=Supervised.output)
