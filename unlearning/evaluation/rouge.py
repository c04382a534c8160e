"""Regurgitation: how much of the expected text the model says, in order (ROUGE-L recall, 0 to 1).

The numbers are those of ``RougeScorer(["rougeL"], use_stemmer=True)`` of rouge_score 0.1.2, with its tokenizer and
stemmer. Only the longest common subsequence is computed faster, on the bits of an integer.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from rouge_score.tokenizers import DefaultTokenizer

SPLITTER = DefaultTokenizer(use_stemmer=False)
STEMMER = DefaultTokenizer(use_stemmer=True)


def words(text: str) -> list[str]:
    """Return the text's words: runs of a-z and 0-9 in lower case; those longer than three characters are stemmed."""
    return [stem for word in SPLITTER.tokenize(text) for stem in _stems(word)]


@lru_cache(maxsize=1 << 16)
def _stems(word: str) -> tuple[str, ...]:
    """Return the stem of one word (Porter). Stems are cached, since stemming takes longer than all the rest."""
    return tuple(STEMMER.tokenize(word))


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, from 0 to the shorter length.

    Bit i of `row` is 0 where the i-th word of `first` lengthens the subsequence (Hyyrö 2004, "Bit-parallel LCS-length
    computation revisited"). This takes O(len(second)) operations on integers of len(first) bits.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(first) - row.bit_count()


def rouge_l_recall(expected: str, generated: str, split: Callable[[str], list[str]] = words) -> float:
    """Return LCS(expected, generated) / words in expected, from 0 to 1; 0 if `expected` has no word.

    `split` returns the words of a text. Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", in
    rouge_score's version.
    """
    target = split(expected)
    return common_subsequence(target, split(generated)) / len(target) if target else 0.0
