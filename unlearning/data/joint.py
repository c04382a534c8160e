"""Prompt and answer as one sequence of tokens, split where the prompt's characters end.

The whole text goes through the tokenizer at once, because most SentencePiece tokenizers put a space before a text of
its own: the tokens of an answer alone are not those that a model says after the prompt. All that trains, traces, probes
or scores answers asks here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.rendering import RenderedRow, render_prompts, render_rows
from unlearning.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class LocatedTokens:
    """The tokens of a text that something may follow, and where in the text they are."""

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    """First character of each token, and the first one after it; both are 0 for a token that is not in the text."""


@dataclass(frozen=True, slots=True)
class JointRow:
    """A prompt and its answer as one text and as the tokens of that text."""

    rendered: RenderedRow
    tokens: LocatedTokens
    answer_start: int
    """Position of the answer's first token: the first one that reaches beyond the prompt. So a token that holds the
    end of the prompt and the beginning of the answer counts to the answer."""


def join_rows(
    inputs: Sequence[str], outputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig
) -> list[JointRow]:
    """Return each prompt with its answer, without a final end-of-text token unless a chat template writes one.

    Raises InputError as `render_rows` does, and for a tokenizer that knows no offsets.
    """
    rendered = render_rows(inputs, outputs, tokenizer, prompt)
    located = located_tokens([row.text for row in rendered], tokenizer, prompt.style is PromptStyle.raw)
    return [
        JointRow(row, tokens, _first_beyond(tokens, row.prompt_end))
        for row, tokens in zip(rendered, located, strict=True)
    ]


def prompt_ids(inputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> list[list[int]]:
    """Return the token ids of the prompts alone, as the official evaluator gives them to a model that is to answer.

    Raises InputError as `join_rows` does.
    """
    texts = render_prompts(inputs, tokenizer, prompt)
    return [list(tokens.ids) for tokens in located_tokens(texts, tokenizer, prompt.style is PromptStyle.raw)]


def located_tokens(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", special: bool) -> list[LocatedTokens]:
    """Return the tokens of each text, in one call, since a fast tokenizer works on many texts in parallel.

    With `special` the tokenizer adds its own tokens before a text. Those that it adds after one (most often its
    end-of-text token) are left out: a model that is given them has nothing to continue.

    Raises InputError for a tokenizer that knows no offsets.
    """
    if not tokenizer.is_fast:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise InputError(f"tokenizer {name}: a slow one, which does not tell where its tokens are; give a fast one")
    if not texts:
        return []
    found = tokenizer(list(texts), add_special_tokens=special, return_offsets_mapping=True)
    return [_open(ids, offsets) for ids, offsets in zip(found["input_ids"], found["offset_mapping"], strict=True)]


def _open(ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> LocatedTokens:
    """Return the tokens without those at the end that are not in the text."""
    end = len(ids)
    while end and offsets[end - 1][1] == 0:
        end -= 1
    return LocatedTokens(tuple(ids[:end]), tuple(offsets[:end]))


def _first_beyond(tokens: LocatedTokens, characters: int) -> int:
    """Return the position of the first token that reaches beyond so many characters; behind the last if none does."""
    return next((place for place, (_, end) in enumerate(tokens.offsets) if end > characters), len(tokens.ids))
