"""A document of the sandbox before it has an identifier, and how it is cut into prompt and continuation."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """One document: `text` is the completion row's input and output joined by one space."""

    input: str
    output: str
    questions: tuple[tuple[str, str], ...]
    """Pairs (question, answer)."""

    @property
    def text(self) -> str:
        """The whole document, as the membership test reads it."""
        return f"{self.input} {self.output}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers alone."""
        return tuple(answer for _, answer in self.questions)


def cut(text: str, share: tuple[float, float], rng: random.Random) -> tuple[str, str]:
    """Split at a space so that the first part holds a share of the words drawn between the two bounds.

    The split falls wherever it falls, in the middle of a sentence as a rule, as in the official rows.
    """
    words = text.split(" ")
    first = min(max(1, round(rng.uniform(*share) * len(words))), len(words) - 1)
    return " ".join(words[:first]), " ".join(words[first:])
