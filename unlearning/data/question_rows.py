"""Rows of data sets whose records are a question and its answer."""

from unlearning.data.located_row import LocatedRow
from unlearning.data.records import Record, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split


def question_row(
    record: Record, question: str, answer: str, template: str, task: str, split: Split, number: int
) -> LocatedRow:
    """Return the row of a record whose fields `question` and `answer` are texts.

    `number` counts the split's rows from 1; ids are "{split}-{task}-{number}qa0".

    Raises InputError for a field that is missing, not text, or empty.
    """
    require_fields(record, [question, answer])
    row = Row(
        id=f"{split.value}-{task}-{number}qa0",
        input=fill_template(template, text_field(record, question)),
        output=text_field(record, answer),
        task=task,
        kind=Kind.QUESTION,
        split=split,
    )
    return LocatedRow(row, record)


def fill_template(template: str, question: str) -> str:
    """Return the template with the question in place of "{question}"; braces within the question stay."""
    return template.replace("{question}", question)
