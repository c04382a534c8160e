"""Answers of models side by side: which rows a page shows, and which words of an answer are the expected ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from unlearning.data.words import WORD
from unlearning.evaluation.result import Generation
from unlearning.evaluation.rouge import common_pairs, common_subsequence, words
from unlearning.evaluation.unicode_words import unicode_words
from unlearning.scopes.ranges import consecutive

EVENLY, WORST = 6, 4
_WORD = re.compile(r"[a-z0-9]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Common:
    """Two texts as HTML, with the words of their longest common subsequence marked: what ROUGE-L counts."""

    expected: Markup
    answer: Markup
    length: int
    """Words in common, as ROUGE counts them."""
    words: int
    """Words of the expected text."""


def evenly(rows: Sequence[Generation], count: int = EVENLY) -> list[Generation]:
    """Return at most so many rows, evenly spaced over all of them by task and kind, not hand-picked."""
    ordered, count = sorted(rows, key=lambda row: (row.task, row.kind)), min(count, len(rows))
    return [ordered[(2 * place + 1) * len(rows) // (2 * count)] for place in range(count)]


def worst(rows: Sequence[Generation], shown: Sequence[Generation]) -> list[Generation]:
    """Return the other rows that went wrong most: forget rows that came back, retain rows that got lost."""

    def fault(row: Generation) -> float:
        return row.score if row.split == "forget" else 1 - row.score

    left = [row for row in rows if row not in shown and fault(row) > 0]
    return sorted(left, key=fault, reverse=True)[:WORST]


def common_words(expected: str, answer: str, own: bool = False) -> Common:
    """Return what two texts have in common; `rouge_l_recall` is its length / words.

    The words are official ones or, of an `own` row, Unicode words.
    """
    pattern, split = (WORD, unicode_words) if own else (_WORD, words)
    texts = expected, answer.strip()
    spans = [[match.span() for match in pattern.finditer(text)] for text in texts]
    pairs = common_pairs(*([tuple(split(texts[side][start:end])) for start, end in spans[side]] for side in (0, 1)))
    marked = [_marked(texts[side], spans[side], [pair[side] for pair in pairs]) for side in (0, 1)]
    target = split(expected)
    return Common(marked[0], marked[1], common_subsequence(target, split(answer)), len(target))


def _marked(text: str, spans: Sequence[tuple[int, int]], numbers: Sequence[int]) -> Markup:
    """Return the text with these of its words marked; neighbours have one mark, with what stands between them."""
    html, end = Markup(), 0
    for run in consecutive(numbers):
        start, stop = spans[run[0]][0], spans[run[-1]][1]
        html += escape(text[end:start]) + Markup("<mark>{}</mark>").format(text[start:stop])
        end = stop
    return html + escape(text[end:])
