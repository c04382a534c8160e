"""The rule that stops a row's generation once no further token can change its score; every score stays the same."""

import re
from collections.abc import Sequence

from unlearning.data.rows import Kind, Row
from unlearning.evaluation.exact_match import normal_form
from unlearning.evaluation.rouge import words
from unlearning.evaluation.text import CSV_MISSING, StableText, through_csv

UNFINISHED_WORD = re.compile(r"[a-z0-9]+\Z")
LONGEST_MISSING = max(map(len, CSV_MISSING))
COMPLETION_INTERVAL_TOKENS = 16
"""Tokens between two checks of a completion; one that the model remembers usually ends by itself."""


def answer_missed(stable: str, expected: str) -> bool:
    """Return whether no text that begins with `stable` can be an exact match of `expected`.

    Outer white space does not count. Lower-casing depends on the neighbouring text for one letter only, the sigma at
    the end of a word. Several short texts become "nan" in the CSV file, so the answer "nan" is never missed.
    """
    answer = normal_form(through_csv(expected))
    if answer == "nan":
        return False
    return not _one_sigma(answer).startswith(_one_sigma(normal_form(stable)))


def completion_covered(stable: str, target: Sequence[str]) -> bool:
    """Return whether the finished words of `stable` have all target words in order, so that ROUGE-L recall stays 1."""
    if not target or len(stable) <= LONGEST_MISSING:
        return False
    remaining = iter(words(UNFINISHED_WORD.sub("", stable.lower())))
    return all(word in remaining for word in target)


class StoppingRule:
    """Decides from the tokens generated so far whether further tokens can change the row's score."""

    def __init__(self, row: Row, stable_text: StableText) -> None:
        self.kind = row.kind
        self.expected = row.output
        self.target = words(through_csv(row.output)) if row.kind is Kind.COMPLETION else []
        self.stable_text = stable_text

    def is_decided(self, tokens: Sequence[int]) -> bool:
        """Return True only if no continuation of the tokens changes the score."""
        if self.kind is Kind.QUESTION:
            return answer_missed(self.stable_text(tokens), self.expected)
        if len(tokens) % COMPLETION_INTERVAL_TOKENS:
            return False
        return completion_covered(self.stable_text(tokens), self.target)


def _one_sigma(text: str) -> str:
    """Return the text with one form of the small sigma in place of two."""
    return text.replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")
