"""From a row to tokens."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from unlearning.config.checks import at_least, require
from unlearning.config.escapes import unescaped


class PromptStyle(StrEnum):
    """How a question is put to the model."""

    raw = "raw"
    """The input as it is."""
    chat = "chat"
    """The input inside the tokenizer's chat template."""


class Supervised(StrEnum):
    """Which tokens of a row carry a loss."""

    output = "output"
    """The output alone."""
    document = "document"
    """Input and output, of every row."""
    article = "article"
    """Input and output of a completion, which together are the text that membership is measured on; of a question the
    answer alone, so that the common words of questions are not pushed away with it."""


@dataclass
class PromptConfig:
    """From a row to tokens. The defaults are what the official evaluator scores: raw input, a space, output."""

    style: PromptStyle = PromptStyle.raw
    separator: str = " "
    r"""Stands between input and output in the raw style; `\n` is a line end, `\t` a tab."""
    append_eos: bool = True
    """Whether the end of the answer follows the output (exact match needs a model that stops): the end-of-text token,
    in the chat style the end of turn that the template writes."""
    system: str | None = None
    """Text of the system message before each question, in the chat style alone; null: none of its own."""
    date: str = "2024-07-26"
    """The day that a chat template takes for today, so that the same rows are the same tokens on every day. The default
    is the day that Llama 3's template names where it is told none."""
    forget_supervised: Supervised = Supervised.output
    retain_supervised: Supervised = Supervised.output
    max_tokens: int = at_least(2, 2048)
    """Longest row accepted; a longer one is an error, never cut silently."""

    def __post_init__(self) -> None:
        """Write line ends and tabs of the separator as such."""
        self.separator = unescaped(self.separator)

    def check(self, key: str) -> None:
        """Raise InputError for a date that is none, and for a system message in the raw style."""
        require(_is_day(self.date), f"{key}.date", self.date, "a day written as 2024-07-26")
        chat = self.style is PromptStyle.chat
        require(self.system is None or chat, f"{key}.system", self.system, f"null unless {key}.style=chat")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
