"""Which words of an answer are the expected ones, in the expected order: what ROUGE-L counts, for a reader's eye."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.data.words import WORD
from unlearning.evaluation.rouge import words
from unlearning.evaluation.unicode_words import unicode_words

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Piece:
    """A stretch of text."""

    text: str
    marked: bool
    """Whether it is part of the longest common subsequence."""


@dataclass(frozen=True)
class Common:
    """Two texts, cut where their longest common subsequence of words begins and ends."""

    expected: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    length: int
    """Words in common."""
    words: int
    """Words of the expected text."""


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    key: tuple[str, ...]
    """What ROUGE compares: its stem."""


def common_words(expected: str, answer: str, own: bool = False) -> Common:
    """Return the longest common subsequence of the texts' words; `rouge_l_recall` is its length / words.

    The words are official ones or, of an `own` row, Unicode words.
    """
    left, right = (_unicode_words(text) if own else _words(text) for text in (expected, answer))
    pairs = longest_common([word.key for word in left], [word.key for word in right])
    return Common(
        expected=_pieces(expected, left, [pair[0] for pair in pairs]),
        answer=_pieces(answer, right, [pair[1] for pair in pairs]),
        length=len(pairs),
        words=len(left),
    )


def longest_common(first: Sequence[object], second: Sequence[object]) -> list[tuple[int, int]]:
    """Return the index pairs of a longest common subsequence, rising, in len(first) * len(second) steps."""
    # longest[i][j]: length of the longest common subsequence of first[:i] and second[:j].
    longest = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, item in enumerate(first):
        for j, other in enumerate(second):
            equal = item == other
            longest[i + 1][j + 1] = 1 + longest[i][j] if equal else max(longest[i][j + 1], longest[i + 1][j])
    pairs, i, j = [], len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif longest[i - 1][j] >= longest[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _words(text: str) -> list[_Word]:
    """Return the words as ROUGE finds them, each with its place in the text as it is written."""
    lowered = [(index, letter) for index, character in enumerate(text) for letter in character.lower()]
    found = []
    for match in _WORD.finditer("".join(letter for _, letter in lowered)):
        start, end = lowered[match.start()][0], lowered[match.end() - 1][0] + 1
        found.append(_Word(start, end, tuple(words(match.group()))))
    return found


def _unicode_words(text: str) -> list[_Word]:
    """Return the same of Unicode words."""
    return [_Word(match.start(), match.end(), tuple(unicode_words(match.group()))) for match in WORD.finditer(text)]


def _pieces(text: str, found: Sequence[_Word], marked: Sequence[int]) -> tuple[Piece, ...]:
    """Return the text in pieces; marked words that follow one another are one piece, with what stands between them."""
    pieces: list[Piece] = []
    place = 0
    for index, number in enumerate(marked):
        if index and marked[index - 1] == number - 1:
            start = place - len(pieces.pop().text)
        else:
            start = found[number].start
            pieces.append(Piece(text[place:start], marked=False))
        place = found[number].end
        pieces.append(Piece(text[start:place], marked=True))
    pieces.append(Piece(text[place:], marked=False))
    return tuple(piece for piece in pieces if piece.text)
