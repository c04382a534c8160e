"""Kinds of answers: those to questions of one kind could be mistaken for one another, such as two birth dates."""

from collections import defaultdict
from collections.abc import Iterable

from unlearning.data.ids import SUFFIX_CHARACTERS, suffix_kind
from unlearning.data.rows import Row

AnswerKind = tuple[str, str, str]
"""Task, suffix of the row's id, first word of the question."""


def answer_kind(row: Row) -> AnswerKind:
    """Return the kind of the row's answer.

    It is made of the task, the suffix of the id (for LUME's people qa0 asks for a birth date and qa1 for a Social
    Security number) and the first word of the question (who, what, when, how).
    """
    suffix = row.id[-SUFFIX_CHARACTERS:] if suffix_kind(row.id) else ""
    words = row.input.split()
    return row.task, suffix, words[0].lower() if words else ""


def by_kind(rows: Iterable[Row]) -> dict[AnswerKind, list[Row]]:
    """Return the rows of each kind of answer, in their order."""
    found: dict[AnswerKind, list[Row]] = defaultdict(list)
    for row in rows:
        found[answer_kind(row)].append(row)
    return dict(found)
