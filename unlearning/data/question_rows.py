"""Rows of data sets whose records are a question and its answer."""

from collections.abc import Callable, Iterable, Sequence

from unlearning.data.located_row import LocatedRow
from unlearning.data.records import Record, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split
from unlearning.data.sources import read_records, source_name


def question_rows(
    sources: Sequence[str],
    split: Split,
    question: str,
    answer: str,
    template: str,
    records_of: Callable[[str], Iterable[Record]] = read_records,
) -> list[LocatedRow]:
    """Return one row for each record of all sources, in order.

    `question` and `answer` are the names of the record's fields, `records_of` returns the records of a source. A row's
    task is its source's name, its id "{split}-{task}-{number}qa0", counted from 1 over all sources.

    Raises InputError if a source cannot be read, or a field is missing, not text, or empty.
    """
    rows: list[LocatedRow] = []
    for source in sources:
        task = source_name(source)
        for record in records_of(source):
            require_fields(record, [question, answer])
            row = Row(
                id=f"{split.value}-{task}-{len(rows) + 1}qa0",
                input=fill_template(template, text_field(record, question)),
                output=text_field(record, answer),
                task=task,
                kind=Kind.QUESTION,
                split=split,
                own=True,
            )
            rows.append(LocatedRow(row, record))
    return rows


def fill_template(template: str, question: str) -> str:
    """Return the template with the question in place of "{question}"; braces within the question stay."""
    return template.replace("{question}", question)
