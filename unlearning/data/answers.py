"""Forget rows with other answers: a refusal, random tokens, another row's or an invented answer, one text repeated."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.data.answer_kinds import answer_kind
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.records import excerpt
from unlearning.data.rows import Row
from unlearning.errors import InputError

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


REPEATED = "No Idea"
"""The text that JensUn repeats (arXiv 2509.02820)."""


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
    special = _special(tokenizer)
    ordinary = [token for token in range(len(tokenizer)) if token not in special]
    found = []
    for row in encode_rows(rows, tokenizer, _answers_only(prompt)):
        kept, answer = row.input_ids[: row.supervised_from], row.input_ids[row.supervised_from :]
        drawn = tuple(token if token in special else rng.choice(ordinary) for token in answer)
        found.append(replace(row, input_ids=kept + drawn))
    return found


def repeated_rows(rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> list[EncodedRow]:
    """Return the rows with the tokens of `REPEATED`, over and over and as many, in place of the answer's.

    Only the answer is supervised. What ends the answer stays where it is. Raises InputError as `encode_rows` does.
    """
    text = tokenizer(REPEATED, add_special_tokens=False)["input_ids"]
    special = _special(tokenizer)
    found = []
    for row in encode_rows(rows, tokenizer, _answers_only(prompt)):
        kept, answer, tokens = row.input_ids[: row.supervised_from], row.input_ids[row.supervised_from :], cycle(text)
        said = tuple(token if token in special else next(tokens) for token in answer)
        found.append(replace(row, input_ids=kept + said))
    return found


def other_rows(
    rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig, seed: int
) -> list[EncodedRow]:
    """Return the rows with the answer to another of them, drawn once for each row, in place of the own one.

    It is drawn from the different answers of the row's kind (`answer_kind`), or, where its kind has no other, from
    those of its task, or of all rows; a completion is never given to a question. Only the answer is supervised. Raises
    InputError as `encode_rows` does, and for a row to which there is no other answer.
    """
    return encode_rows(_with_other_answers(rows, seed), tokenizer, _answers_only(prompt))


def invented_rows(
    rows: Sequence[Row],
    answers: Sequence[str] | None,
    tokenizer: "PreTrainedTokenizerBase",
    prompt: PromptConfig,
    seed: int,
) -> list[EncodedRow]:
    """Return the rows with these answers in place of their own; where one is empty, with another row's answer.

    None: nothing is invented yet, and the own answers stand there, which are about as long. Only the answer is
    supervised. Raises InputError as `other_rows`.
    """
    texts = [row.output for row in rows] if answers is None else answers
    others = rows if all(texts) else _with_other_answers(rows, seed)
    answered = [replace(row, output=text) if text else row for row, text in zip(others, texts, strict=True)]
    return encode_rows(answered, tokenizer, _answers_only(prompt))


def _with_other_answers(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return the rows with the answers that `other_rows` draws."""
    rng = random.Random(seed)
    answered = []
    for row, others in zip(rows, _other_answers(rows), strict=True):
        if not others:
            raise InputError(f"row {excerpt(row.id)}: no forget row has another answer, which objective.answers needs")
        answered.append(replace(row, output=rng.choice(others)))
    return answered


def _other_answers(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Yield, for each row, the different answers to others of the nearest group that has any, each once."""
    groups: list[dict[object, dict[str, str]]] = [defaultdict(dict) for _ in _GROUPS]
    for row in rows:
        for group, name in zip(groups, _GROUPS, strict=True):
            group[name(row)].setdefault(_compared(row), row.output)
    for row in rows:
        near = (group[name(row)] for group, name in zip(groups, _GROUPS, strict=True))
        found = ([text for compared, text in own.items() if compared != _compared(row)] for own in near)
        yield next(filter(None, found), [])


_GROUPS: tuple[Callable[[Row], object], ...] = (
    lambda row: (row.kind, answer_kind(row)),
    lambda row: (row.kind, row.task),
    lambda row: row.kind,
)
"""What rows of one group have in common, from the smallest group to the largest."""


def _compared(row: Row) -> str:
    """Return the row's answer without what exact match ignores."""
    return row.output.strip().lower()


def _special(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    added = tokenizer.added_tokens_decoder
    return {*tokenizer.all_special_ids, *(token for token in added if added[token].special)}


def _answers_only(prompt: PromptConfig) -> PromptConfig:
    return replace(prompt, forget_supervised=Supervised.output)
