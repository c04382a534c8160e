"""The token ids of rows, and the position from which on they carry a loss.

Prompt and answer are tokenised together (`joint`). Where no token joins the two, the prompt's tokens are those that the
official evaluator gives to a model that is to answer; so it is on all official rows with OLMo's tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.data.joint import JointRow, join_rows, located_tokens, prompt_ids
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


def encode_rows(rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> list[EncodedRow]:
    """Return the token ids of input and output of each row, with one call of the tokenizer.

    Raw style: those of `input + separator + output`, with the special tokens that the tokenizer puts before a text.
    Chat style: those of the conversation that the chat template writes, up to the end of turn. A token that holds the
    end of the prompt and the beginning of the answer counts to the answer (see `border_notice`). With
    `prompt.append_eos`, the tokenizer's end-of-text token follows where no template has closed the answer.

    Raises InputError if a row is longer than `prompt.max_tokens`, if the tokenizer lacks the chat template, the
    end-of-text token or the offsets that are needed, or if no token is left to carry a loss.
    """
    if not rows:
        return []
    eos = _eos(tokenizer, prompt)
    joint = join_rows([row.input for row in rows], [row.output for row in rows], tokenizer, prompt)
    return [_encoded(row, found, eos, prompt) for row, found in zip(rows, joint, strict=True)]


def encode_prompts(
    inputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig
) -> list[list[int]]:
    """Return the token ids of the prompts alone: the input of a model that is to answer.

    Raises InputError as `encode_rows` does.
    """
    return prompt_ids(inputs, tokenizer, prompt)


def border_notice(rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> str | None:
    """Return a line that says in how many rows the prompt alone has other tokens than before its answer; else None.

    There a token holds the end of the prompt and the beginning of the answer. A model learns it as the answer's first
    token, but is asked with the prompt alone.
    """
    inputs = [row.input for row in rows]
    joint = join_rows(inputs, [row.output for row in rows], tokenizer, prompt)
    alone = prompt_ids(inputs, tokenizer, prompt)
    differ = [
        row.id
        for row, found, asked in zip(rows, joint, alone, strict=True)
        if list(found.tokens.ids[: found.answer_start]) != asked
    ]
    if not differ:
        return None
    return (
        f"in {len(differ)} of {len(rows)} rows (the first is {excerpt(differ[0])}) a token joins the end of the prompt "
        "and the beginning of the answer; it counts to the answer, and prompt.separator decides about it"
    )


def encode_text(text: str, tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> EncodedRow:
    """Return the token ids of a text without a question, every token of which is a label.

    The tokenizer adds its own special tokens before it. Raises InputError as `encode_rows` does, but never needs a chat
    template.
    """
    (tokens,) = located_tokens([text], tokenizer, special=True)
    return _checked(f"text {excerpt(text)}", [*tokens.ids, *_eos(tokenizer, prompt)], 1, prompt)


def _encoded(row: Row, joint: JointRow, eos: Sequence[int], prompt: PromptConfig) -> EncodedRow:
    supervised = prompt.forget_supervised if row.split is Split.FORGET else prompt.retain_supervised
    whole = supervised is Supervised.document or (supervised is Supervised.article and row.kind is Kind.COMPLETION)
    ids = [*joint.tokens.ids, *(() if joint.rendered.ends_turn else eos)]
    return _checked(f"row {excerpt(row.id)}", ids, 1 if whole else max(joint.answer_start, 1), prompt)


def _checked(name: str, ids: list[int], supervised_from: int, prompt: PromptConfig) -> EncodedRow:
    if len(ids) > prompt.max_tokens:
        raise InputError(f"{name}: {len(ids)} tokens, more than prompt.max_tokens={prompt.max_tokens}")
    if supervised_from >= len(ids):
        raise InputError(f"{name}: {len(ids)} tokens, none of which can carry a loss")
    return EncodedRow(tuple(ids), supervised_from)


def _eos(tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> tuple[int, ...]:
    """Return the end-of-text token, or nothing where none is to follow an answer."""
    if not prompt.append_eos:
        return ()
    if tokenizer.eos_token_id is None:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise InputError(f"prompt.append_eos=true: tokenizer {name} has no end-of-text token")
    return (tokenizer.eos_token_id,)
