"""Your own rows: records with input and output, and optionally id, task, kind and subject."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from unlearning.data.ids import suffix_kind, task_of
from unlearning.data.located_row import LocatedRow, located_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split
from unlearning.data.subjects import given_subject

TASK = "Task1"
"""The task of a row that has none, and whose id tells none."""
SUFFIXES = {Kind.COMPLETION: "sc1", Kind.QUESTION: "qa0"}


@dataclass(frozen=True)
class JsonlReader(FileReader):
    """Reads rows of any origin."""

    joined_by: str = " "

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the rows of all sources, in order.

        - A row's kind is its "kind" ("sc" or "qa"), or else what its id tells (`suffix_kind`), or else a question.
        - An id is text or a whole number; the number 7 becomes "forget-7", since both splits are often counted from 0.
          Without an id, "forget-row7qa0" becomes the id of the seventh forget row.
        - A row without a task has the task that its id tells, or `TASK`.
        - The subject is "subject", words of the input, or "subject_start" and "subject_end" (`given_subject`).
        - With `joined_by`, white space at the end of an input and around an output is left out.

        Raises InputError if a source cannot be read, a row is not as described, or an id stands twice.
        """
        located = located_rows(sources, split, _own_row)
        return [_without_outer_space(item) for item in located] if self.joined_by else located

    def notes(self, located: Sequence[LocatedRow]) -> Iterator[str]:
        """Yield a line where white space was left out, where rows tell no kind, and where kind contradicts the id."""
        spaced = [item for item in located if _had_outer_space(item)]
        if spaced:
            yield (
                f"rows with white space at the end of input or around output: {_count(spaced)}; it is left out, "
                "unless prompt.separator is empty"
            )
        kinds = [(item, "kind" in item.record.fields, _kind_of_id(item)) for item in located]
        untold = [item for item, given, by_id in kinds if not given and by_id is None]
        if untold:
            yield (
                f"rows that tell no kind: {_count(untold)}; they count as questions, scored by exact match, unless a "
                "column kind (qa or sc) says otherwise"
            )
        contradicted = [item for item, given, by_id in kinds if given and by_id not in (None, item.row.kind)]
        if contradicted:
            yield f"rows whose kind contradicts their id: {_count(contradicted)}; the kind counts"


def _without_outer_space(item: LocatedRow) -> LocatedRow:
    """Return a row without white space at the end of its input and around its output."""
    return replace(item, row=replace(item.row, input=item.row.input.rstrip(), output=item.row.output.strip()))


def _had_outer_space(item: LocatedRow) -> bool:
    return (item.row.input, item.row.output) != (item.record.fields["input"], item.record.fields["output"])


def _kind_of_id(item: LocatedRow) -> Kind | None:
    return suffix_kind(item.row.id) if "id" in item.record.fields else None


def _count(located: Sequence[LocatedRow]) -> str:
    return f"{len(located)} (the first: {located[0].record.place})"


def _own_row(record: Record, number: int, split: Split) -> Row:
    require_fields(record, ["input", "output"])
    given_id = _given_id(record, split)
    kind = _kind(record, given_id)
    # The split is in the id because ids are unique in the whole corpus.
    row_id = given_id or f"{split.value}-row{number}{SUFFIXES[kind]}"
    task = text_field(record, "task") if "task" in record.fields else task_of(row_id) or TASK
    text, output = text_field(record, "input"), text_field(record, "output")
    return Row(row_id, text, output, task, kind, split, own=True, subject=given_subject(record, text))


def _given_id(record: Record, split: Split) -> str | None:
    if "id" not in record.fields:
        return None
    value = record.fields["id"]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"{split.value}-{value}" if is_number else text_field(record, "id")


def _kind(record: Record, row_id: str | None) -> Kind:
    if "kind" not in record.fields:
        return (suffix_kind(row_id) if row_id else None) or Kind.QUESTION
    given = text_field(record, "kind")
    if given not in list(Kind):
        raise record.error(f"kind {excerpt(given)} is unknown; must be one of {', '.join(Kind)}")
    return Kind(given)
