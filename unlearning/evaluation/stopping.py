"""The rule that stops a row's generation once no further token can change its score; every score stays the same."""

import re
from collections.abc import Callable, Sequence

from unlearning.data.rows import Kind, Row
from unlearning.evaluation.exact_match import normal_form
from unlearning.evaluation.rouge import words
from unlearning.evaluation.text import CSV_MISSING, StableText, through_csv
from unlearning.evaluation.unicode_words import UNFINISHED_WORD as UNFINISHED_UNICODE_WORD
from unlearning.evaluation.unicode_words import unicode_words

UNFINISHED_WORD = re.compile(r"[a-z0-9]+\Z")
LONGEST_MISSING = max(map(len, CSV_MISSING))
COMPLETION_INTERVAL_TOKENS = 16
"""Tokens between two checks of a completion; one that the model remembers usually ends by itself."""


def answer_missed(stable: str, expected: str) -> bool:
    """Return whether no text that begins with `stable` can be an exact match of `expected`.

    Outer white space does not count. Lower-casing depends on the neighbouring text for one letter only, the sigma at
    the end of a word. Several short texts become "nan" in the CSV file, so the answer "nan" is never missed.
    """
    answer = through_csv(expected)
    return normal_form(answer) != "nan" and own_answer_missed(stable, answer)


def own_answer_missed(stable: str, expected: str) -> bool:
    """Return the same for a row that is not official, whose answer no CSV file changes."""
    return not _one_sigma(normal_form(expected)).startswith(_one_sigma(normal_form(stable)))


def completion_covered(stable: str, target: Sequence[str]) -> bool:
    """Return whether the finished words of `stable` have all target words in order, so that ROUGE-L recall stays 1."""
    if len(stable) <= LONGEST_MISSING:
        return False
    return _in_order(words(UNFINISHED_WORD.sub("", stable.lower())), target)


def own_completion_covered(stable: str, target: Sequence[str]) -> bool:
    """Return the same for a row that is not official, whose words are Unicode words."""
    return _in_order(unicode_words(UNFINISHED_UNICODE_WORD.sub("", stable)), target)


class StoppingRule:
    """Decides from the tokens generated so far whether further tokens can change the row's score."""

    def __init__(self, row: Row, stable_text: StableText) -> None:
        self.row = row
        self.stable_text = stable_text
        self.target = unicode_words(row.output) if row.own else words(through_csv(row.output))
        self.is_missed: Callable[[str, str], bool] = own_answer_missed if row.own else answer_missed
        self.is_covered: Callable[[str, Sequence[str]], bool] = (
            own_completion_covered if row.own else completion_covered
        )

    def is_decided(self, tokens: Sequence[int]) -> bool:
        """Return True only if no continuation of the tokens changes the score."""
        if self.row.kind is Kind.QUESTION:
            return self.is_missed(self.stable_text(tokens), self.row.output)
        if len(tokens) % COMPLETION_INTERVAL_TOKENS:
            return False
        return self.is_covered(self.stable_text(tokens), self.target)


def _in_order(said: Sequence[str], target: Sequence[str]) -> bool:
    """Return whether all target words, one at least, are among those said, in their order."""
    remaining = iter(said)
    return bool(target) and all(word in remaining for word in target)


def _one_sigma(text: str) -> str:
    """Return the text with one form of the small sigma in place of two."""
    return text.replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")
