"""A document of the sandbox, and how it is cut into prompt and continuation."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxDocument:
    """A document without an identifier: its completion row, and its questions."""

    input: str
    output: str
    questions: tuple[tuple[str, str], ...]
    """Pairs (question, answer)."""

    @property
    def text(self) -> str:
        """The whole document, as the membership test reads it: input and output, joined by one space."""
        return f"{self.input} {self.output}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers of all questions."""
        return tuple(answer for _, answer in self.questions)


def cut(text: str, share: tuple[float, float], rng: random.Random) -> tuple[str, str]:
    """Return the text in two parts, cut at a space.

    The first part holds a share of the words that is drawn between the two bounds. As in the official rows, the cut is
    mostly in the middle of a sentence.
    """
    words = text.split(" ")
    first = min(max(1, round(rng.uniform(*share) * len(words))), len(words) - 1)
    return " ".join(words[:first]), " ".join(words[first:])
