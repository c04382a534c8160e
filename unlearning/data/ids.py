"""What a row's id tells: its kind, its document and its task.

Ids of SemEval-2025 Task 4 and of LUME are a document's id and a suffix: sc1, or qa0 to qa4. Task1 writes literal double
quotes around the document's id: `"2ebb..."sc1`.
"""

import re

from unlearning.data.rows import Kind

SUFFIX_CHARACTERS = 3
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def kind_of(row_id: str) -> Kind | None:
    """Return the kind as the official evaluator tells it (`id[:-1].endswith("sc")`); None where the id tells none.

    A suffix has one digit only, so "...qa10" tells no kind.
    """
    return next((kind for kind in Kind if row_id[:-1].endswith(kind.value)), None)


def suffix_kind(row_id: str) -> Kind | None:
    """Return the kind that a suffix tells; None also where the suffix may be the end of a word, as in "misc0".

    It is the end of a word if a letter stands before it, unless all before it is a UUID. No official id is like that.
    """
    stem, digit = row_id[:-SUFFIX_CHARACTERS], row_id[-1:]
    ends_a_word = stem[-1:].isalpha() and not UUID.fullmatch(stem)
    return None if ends_a_word or not digit.isdecimal() else kind_of(row_id)


def document_id(row_id: str) -> str:
    """Return the document that the row asks about: the id without suffix and without Task1's double quotes."""
    stem = row_id if suffix_kind(row_id) is None else row_id[:-SUFFIX_CHARACTERS]
    return stem.strip('"')


def task_of(row_id: str) -> str | None:
    """Return the official task, told by the id's form (quoted UUID, UUID, Wikipedia number); None for other forms."""
    if kind_of(row_id) is None:
        return None
    stem = row_id[:-SUFFIX_CHARACTERS]
    if stem.startswith('"') and stem.endswith('"') and UUID.fullmatch(stem.strip('"')):
        return "Task1"
    if UUID.fullmatch(stem):
        return "Task2"
    return "Task3" if stem.isdecimal() else None
