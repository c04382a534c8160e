"""A prompt and its answer as one text: as they are, or written by the tokenizer's chat template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.records import excerpt
from unlearning.errors import InputError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWER = "ANSWER"
"""The answer that is written where there is none yet, to see what the template writes around an answer."""
DATE_CODES = (*"aAbBdmyYjHMSIp", "-d", "-m")
"""Codes of strftime that chat templates ask for today's date with."""


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """A prompt, its answer and, in the chat style, the end of turn, as one text."""

    text: str
    prompt_end: int
    """Number of characters of the prompt; what joins prompt and answer (a separator) comes after it."""
    ends_turn: bool = False
    """Whether the text closes the answer itself; if not, the tokenizer's end-of-text token may follow."""

    @property
    def prompt(self) -> str:
        """The text that a model is given to answer."""
        return self.text[: self.prompt_end]


def render_rows(
    inputs: Sequence[str], outputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig
) -> list[RenderedRow]:
    """Return each input with its output.

    Raw style: `input + separator + output`. Chat style: what the template writes for a model that is to answer, then
    the answer and, with `prompt.append_eos`, the end of turn: all that the template writes after an answer up to its
    first special token. White space that the template writes before an answer joins the two as a separator does. Where
    it writes more there (the empty thought of a reasoning model), this belongs to the prompt: the model is given it,
    and does not learn it.

    Raises InputError where there is no chat template, or where it does not write the answer as it is given.
    """
    if not inputs:
        return []
    if prompt.style is PromptStyle.raw:
        pairs = zip(inputs, outputs, strict=True)
        return [RenderedRow(given + prompt.separator + answer, len(given)) for given, answer in pairs]
    whole = _written(inputs, outputs, tokenizer, prompt)
    asked = _written(inputs, None, tokenizer, prompt)
    after = _after_answer(tokenizer, prompt)
    closing = end_of_turn(tokenizer, prompt) if prompt.append_eos else None
    return [
        _split(text, question, answer, after, closing)
        for text, question, answer in zip(whole, asked, outputs, strict=True)
    ]


def render_prompts(inputs: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> list[str]:
    """Return the prompts alone. Raises InputError as `render_rows` does."""
    return [row.prompt for row in render_rows(inputs, [ANSWER] * len(inputs), tokenizer, prompt)]


def end_of_turn(tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> str | None:
    """Return what the template closes an answer with: all up to its first special token. None where it has none.

    None in the raw style too. Raises InputError as `render_rows` does.
    """
    if prompt.style is PromptStyle.raw:
        return None
    added = tokenizer.added_tokens_decoder.values()
    special = {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
    names = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
    after = _after_answer(tokenizer, prompt)
    found = re.search(names, after) if names else None
    return after[: found.end()] if found else None


def _split(text: str, question: str, answer: str, after: str, closing: str | None) -> RenderedRow:
    """Return one written conversation, cut after its closing.

    `question` is the same without the answer, `after` what the template writes after any answer.
    """
    for shown in (answer, answer.strip()):  # some templates strip what they are given
        if shown and text.endswith(shown + after):
            opening = text[: len(text) - len(after) - len(shown)]
            added = opening[len(question) :] if opening.startswith(question) else ""
            asked, joint = (question + added, "") if added.strip() else (question, added)
            return RenderedRow(asked + joint + shown + (closing or ""), len(asked), closing is not None)
    raise InputError(f"prompt.style=chat: the chat template does not write the answer {excerpt(answer)} as it is given")


def _after_answer(tokenizer: "PreTrainedTokenizerBase", prompt: PromptConfig) -> str:
    """Return what the template writes after any answer."""
    (text,) = _written(["A question"], [ANSWER], tokenizer, prompt)
    _, found, after = text.rpartition(ANSWER)
    if not found:
        raise InputError("prompt.style=chat: the chat template does not write the model's answer")
    return after


def _written(
    inputs: Sequence[str],
    outputs: Sequence[str] | None,
    tokenizer: "PreTrainedTokenizerBase",
    prompt: PromptConfig,
) -> list[str]:
    """Return what the template writes of each question and its answer; without outputs, of a model that is to answer.

    Raises InputError where there is no template, or where it refuses the conversation.
    """
    name = tokenizer.name_or_path or type(tokenizer).__name__
    if not tokenizer.chat_template:
        raise InputError(f"prompt.style=chat: tokenizer {name} has no chat template; prompt.style must be raw")
    system = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    chats = [[*system, {"role": "user", "content": text}] for text in inputs]
    if outputs is not None:
        chats = [[*chat, {"role": "assistant", "content": answer}] for chat, answer in zip(chats, outputs, strict=True)]
    day = date.fromisoformat(prompt.date)
    try:
        texts: list[str] = tokenizer.apply_chat_template(
            chats,
            chat_template=_clock(day) + tokenizer.get_chat_template(),
            add_generation_prompt=outputs is None,
            tokenize=False,
            date_string=f"{day:%d %b %Y}",
        )
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        asked = f"prompt.style=chat, prompt.system={prompt.system!r}"
        raise InputError(f"{asked}: the chat template of {name} refuses this ({first_line(error)})") from error
    return texts


def _clock(day: date) -> str:
    """Return a macro in place of Transformers' function that tells templates the time; it always tells this day."""
    codes = "".join(f" | replace('%{code}', '{day:%{code}}')" for code in DATE_CODES)
    # The line end after a block is not written, so the template begins as it did.
    return "{% macro strftime_now(format) %}{{ format" + codes + " }}{% endmacro %}\n"
