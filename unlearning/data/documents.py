"""Documents without questions, as completion rows."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from unlearning.config.data import DocumentsConfig
from unlearning.data.located_row import LocatedRow
from unlearning.data.records import Record, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split
from unlearning.data.sources import read_records, source_name
from unlearning.errors import InputError

FIELD = "text"


def document_rows(
    sources: Sequence[str],
    split: Split,
    config: DocumentsConfig,
    records_of: Callable[[str], Iterable[Record]] = read_records,
) -> list[LocatedRow]:
    """Return one row for each piece of each document that is long enough, in order.

    `records_of` returns the records of a source. A row's task is its source's name, its id
    "{split}-{task}-{document}-{piece}sc1", both counted from 1. Input and output, joined by a space, are the piece.
    Blank documents are passed over.

    Raises InputError if a source cannot be read, a document is not text, or a source holds no piece that is long
    enough.
    """
    rows: list[LocatedRow] = []
    for source in sources:
        before = len(rows)
        for number, record in enumerate(records_of(source), start=1):
            name = f"{split.value}-{source_name(source)}-{number}"
            for piece, (opening, rest) in enumerate(_pieces(record, config), start=1):
                task = source_name(source)
                row = Row(f"{name}-{piece}sc1", opening, rest, task, Kind.COMPLETION, split, own=True)
                rows.append(LocatedRow(row, record))
        if len(rows) == before:
            least = config.least_characters
            raise InputError(f"{source}: no document of more than {least} characters (data.documents.least_characters)")
    return rows


def _pieces(record: Record, config: DocumentsConfig) -> Iterator[tuple[str, str]]:
    """Yield the opening and the rest of each piece of the document."""
    require_fields(record, [FIELD])
    value = record.fields[FIELD]
    if isinstance(value, str) and not value.strip():
        return
    pieces = islice(cut(text_field(record, FIELD), config.most_characters), config.rows_per_document)
    for piece in pieces:
        parts = split_opening(piece, config.opening_words) if len(piece) > config.least_characters else None
        if parts is not None:
            yield parts


def cut(text: str, most: int) -> Iterator[str]:
    """Yield pieces of at most `most` characters, each as long as possible, without the white space between them.

    A word is cut only where it alone is longer.
    """
    start = end = 0
    for word in re.finditer(rf"\S{{1,{most}}}", text):
        if end and word.end() - start > most:
            yield text[start:end]
            start = word.start()
        elif not end:
            start = word.start()
        end = word.end()
    if end:
        yield text[start:end]


def split_opening(piece: str, words: int) -> tuple[str, str] | None:
    """Return the first words and the rest, which joined by a space are the piece; None for a single word.

    The cut is after so many words or, where white space other than a single space follows them, after the next word
    that a single space follows. If there is no such place, that white space is lost. If there are not as many words,
    the rest is the last one.
    """
    gaps = list(re.finditer(r"\s+", piece))
    if not gaps:
        return None
    possible = gaps[words - 1 :] or gaps[-1:]
    gap = next((place for place in possible if place[0] == " "), possible[0])
    return piece[: gap.start()], piece[gap.end() :]
