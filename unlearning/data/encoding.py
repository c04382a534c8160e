"""The token ids of rows, and the position from which on they carry a loss.

The prompt is tokenised by itself, exactly as the official evaluator tokenises it, and so is the completion after it.
Thus a model is trained to continue the very tokens that it is given when it is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.data.records import excerpt
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """Token ids of one row, without padding."""

    input_ids: tuple[int, ...]
    supervised_from: int
    """First position whose token is a label: at least 1, since nothing predicts position 0, and less than the number of
    tokens."""


def encode_row(row: Row, tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> EncodedRow:
    """Return the token ids of input and output.

    Raw style: `tokenizer(input)` with the tokenizer's own special tokens, as the official evaluator does, then
    `separator + output` without any. Chat style: the chat template around the input, then the output. With
    `prompt.append_eos` an end-of-text token follows in both styles.

    Raises InputError if the row is longer than `prompt.max_tokens`, if the tokenizer lacks the chat template or the
    end-of-text token that is asked for, or if no token is left to carry a loss.
    """
    return encode_rows([row], tokenizer, prompt)[0]


def encode_rows(rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> list[EncodedRow]:
    """Return what `encode_row` returns for each row.

    There are only two calls of the tokenizer; a fast tokenizer works on the texts of a call in parallel.
    """
    if not rows:
        return []
    prompts = encode_prompts([row.input for row in rows], tokenizer, prompt)
    separator = prompt.separator if prompt.style is PromptStyle.raw else ""
    outputs = [separator + row.output for row in rows]
    completions: list[list[int]] = tokenizer(outputs, add_special_tokens=False)["input_ids"]
    eos = _eos(tokenizer, prompt)
    return [
        _join(row, start, completion, eos, prompt)
        for row, start, completion in zip(rows, prompts, completions, strict=True)
    ]


def encode_prompts(
    inputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig
) -> list[list[int]]:
    """Return the token ids of the prompts alone: the input of a model that is to answer.

    Raises InputError as `encode_row` does.
    """
    if prompt.style is PromptStyle.raw:
        ids: list[list[int]] = tokenizer(list(inputs))["input_ids"]
        return ids
    if not tokenizer.chat_template:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise InputError(f"prompt.style=chat: tokenizer {name} has no chat template; choose prompt.style=raw")
    chats = [[{"role": "user", "content": text}] for text in inputs]
    # transformers 5 returns a BatchEncoding unless told otherwise.
    chat_ids: list[list[int]] = tokenizer.apply_chat_template(chats, add_generation_prompt=True, return_dict=False)
    return chat_ids


def encode_text(text: str, tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> EncodedRow:
    """Return the token ids of a text without a question, every token of which is a label.

    The tokenizer adds its own special tokens. Raises InputError as `encode_row` does, but never needs a chat template.
    """
    ids: list[int] = _closed(tokenizer(text)["input_ids"], _eos(tokenizer, prompt))
    return _checked(f"text {excerpt(text)}", ids, 1, prompt)


def _join(row: Row, start: list[int], completion: list[int], eos: int | None, prompt: PromptConfig) -> EncodedRow:
    supervised = prompt.forget_supervised if row.split is Split.FORGET else prompt.retain_supervised
    whole = supervised is Supervised.document or (supervised is Supervised.article and row.kind is Kind.COMPLETION)
    first = 1 if whole else len(start)
    return _checked(f"row {excerpt(row.id)}", start + _closed(completion, eos), max(first, 1), prompt)


def _checked(name: str, ids: list[int], supervised_from: int, prompt: PromptConfig) -> EncodedRow:
    if len(ids) > prompt.max_tokens:
        raise InputError(f"{name}: {len(ids)} tokens, more than prompt.max_tokens={prompt.max_tokens}")
    if supervised_from >= len(ids):
        raise InputError(f"{name}: {len(ids)} tokens, none of which can carry a loss")
    return EncodedRow(tuple(ids), supervised_from)


def _eos(tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> int | None:
    if not prompt.append_eos:
        return None
    if tokenizer.eos_token_id is None:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise InputError(f"prompt.append_eos=true: tokenizer {name} has no end-of-text token")
    eos: int = tokenizer.eos_token_id
    return eos


def _closed(ids: list[int], eos: int | None) -> list[int]:
    """Return the ids with one end-of-text token at the end; some tokenizers add theirs to a text by themselves."""
    return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]
