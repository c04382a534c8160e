"""Regurgitation: how much of the expected text the model says, in order (ROUGE-L recall, 0 to 1).

The numbers are those of ``RougeScorer(["rougeL"], use_stemmer=True)`` of rouge_score 0.1.2, with its tokenizer and
stemmer. Only the longest common subsequence is computed faster, on the bits of an integer.
"""

from collections.abc import Callable, Hashable, Sequence
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


def common_subsequence(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return the length of the longest common subsequence, from 0 to the shorter length."""
    return len(first) - _rows(first, second)[-1].bit_count()


def common_pairs(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the index pairs of one longest common subsequence, rising."""
    rows, pairs, i, j = _rows(first, second), [], len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif rows[j] & 1 << (i - 1):  # The last word of `first` does not lengthen the subsequence.
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _rows(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[int]:
    """Return a row of len(first) bits before the first word of `second` and after each.

    Bit i is 0 where the i-th word of `first` lengthens the longest common subsequence with the words of `second` so far
    (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"). This takes O(len(second)) operations on integers.
    """
    places: dict[Hashable, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(first)) - 1
    rows = [full]
    for word in second:
        matched = rows[-1] & places.get(word, 0)
        rows.append(((rows[-1] + matched) | (rows[-1] - matched)) & full)
    return rows


def rouge_l_recall(expected: str, generated: str, split: Callable[[str], list[str]] = words) -> float:
    """Return LCS(expected, generated) / words in expected, from 0 to 1; 0 if `expected` has no word.

    `split` returns the words of a text. Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", in
    rouge_score's version.
    """
    target = split(expected)
    return common_subsequence(target, split(generated)) / len(target) if target else 0.0
