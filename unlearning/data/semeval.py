"""SemEval-2025 Task 4 and LUME: rows with id, input, output and task, whose id tells the kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.data.ids import kind_of
from unlearning.data.located_row import LocatedRow, located_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Row, Split

TASKS = ("Task1", "Task2", "Task3")


@dataclass(frozen=True)
class SemevalReader(FileReader):
    """Reads the official rows."""

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the rows of all sources, in order.

        Raises InputError if a source cannot be read, a row lacks a field or has an id or a task of another form, or
        an id stands twice.
        """
        return located_rows(sources, split, _official_row)


def _official_row(record: Record, _number: int, split: Split) -> Row:
    require_fields(record, ["id", "input", "output", "task"])
    row_id, task = text_field(record, "id"), text_field(record, "task")
    kind = kind_of(row_id)
    if kind is None:
        raise record.error(f"id {excerpt(row_id)}: kind cannot be told; must end in sc or qa and one digit")
    if task not in TASKS:
        raise record.error(f"task {excerpt(task)} is unknown; must be one of {', '.join(TASKS)}")
    return Row(row_id, text_field(record, "input"), text_field(record, "output"), task, kind, split)
