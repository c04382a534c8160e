"""When a row's score is known before its generation is over. Never a guess: the final score is the same."""

import re
from collections.abc import Sequence

from unlearning.data.rows import Kind, Row
from unlearning.evaluation.exact_match import normal_form
from unlearning.evaluation.rouge import words
from unlearning.evaluation.text import CSV_MISSING, StableText, through_csv

UNFINISHED_WORD = re.compile(r"[a-z0-9]+\Z")
LONGEST_MISSING = max(map(len, CSV_MISSING))
COMPLETION_INTERVAL_TOKENS = 16
"""Tokens between two looks at a completion; one that is remembered mostly ends by itself."""


def answer_missed(stable: str, expected: str) -> bool:
    """Whether no text that begins with `stable` can be an exact match of `expected`.

    Outer white space is of no account, and lower-casing depends on the text before and after for one letter alone, the
    sigma at a word's end. Several short texts become "nan" on the way through CSV, so that answer is never missed.
    """
    answer = normal_form(through_csv(expected))
    if answer == "nan":
        return False
    return not _one_sigma(answer).startswith(_one_sigma(normal_form(stable)))


def completion_covered(stable: str, target: Sequence[str]) -> bool:
    """Whether all target words come in order in the finished words of `stable`, so that ROUGE-L recall stays 1."""
    if not target or len(stable) <= LONGEST_MISSING:
        return False
    remaining = iter(words(UNFINISHED_WORD.sub("", stable.lower())))
    return all(word in remaining for word in target)


class StoppingRule:
    """Tells from the tokens generated so far whether the rest can change the row's score."""

    def __init__(self, row: Row, stable_text: StableText) -> None:
        self.kind = row.kind
        self.expected = row.output
        self.target = words(through_csv(row.output)) if row.kind is Kind.COMPLETION else []
        self.stable_text = stable_text

    def is_decided(self, tokens: Sequence[int]) -> bool:
        """True only if no continuation changes the score."""
        if self.kind is Kind.QUESTION:
            return answer_missed(self.stable_text(tokens), self.expected)
        if len(tokens) % COMPLETION_INTERVAL_TOKENS:
            return False
        return completion_covered(self.stable_text(tokens), self.target)


def _one_sigma(text: str) -> str:
    return text.replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")
