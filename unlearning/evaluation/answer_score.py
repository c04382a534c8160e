"""The score of an answer to a row: the official one, or for rows of other data one that knows their script."""

from collections.abc import Iterable

from unlearning.data.rows import Kind, Row
from unlearning.evaluation.exact_match import exact_match
from unlearning.evaluation.rouge import rouge_l_recall
from unlearning.evaluation.semeval import row_score
from unlearning.evaluation.unicode_words import characters, unicode_words

SCORERS = {
    False: "ROUGE-L recall of rouge_score (words of a-z and 0-9, stemmed) and exact match, after the official CSV file",
    True: "ROUGE-L recall of Unicode words (single characters in scripts without spaces) and exact match",
}
"""How answers are scored, by `Row.own`."""


def answer_score(row: Row, generated: str) -> float:
    """Return ROUGE-L recall of a completion, or exact match of an answer; from 0 to 1, 1 for perfect memory.

    Official rows are scored as by the official evaluator (`semeval.row_score`). Of own rows a completion is compared by
    its `unicode_words`, or by its `characters` where the expected text has no word, and "NA" and "None" are answers
    like any other.
    """
    if not row.own:
        return row_score(row.kind, row.output, generated)
    if row.kind is Kind.QUESTION:
        return exact_match(row.output, generated)
    return rouge_l_recall(row.output, generated, unicode_words if unicode_words(row.output) else characters)


def scorers(own: Iterable[bool]) -> list[str]:
    """Return how rows were scored, given the `Row.own` of each: a line for each scorer that scored one."""
    return [SCORERS[kind] for kind in sorted(set(own))]
