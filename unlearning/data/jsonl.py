"""Your own rows: records with input and output, and optionally id, task and kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.data.ids import kind_of, task_of
from unlearning.data.located_row import LocatedRow, located_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split

TASK = "Task1"
"""The task of a row that has none, and whose id tells none."""
SUFFIXES = {Kind.COMPLETION: "sc1", Kind.QUESTION: "qa0"}


@dataclass(frozen=True)
class JsonlReader(FileReader):
    """Reads rows of any origin."""

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the rows of all sources, in order.

        An id that tells no kind needs a "kind" ("sc" or "qa"). A row without an id is a question unless its "kind" says
        otherwise, and "forget-row7qa0" becomes the id of the seventh forget row. A row without a task has the task that
        its id tells, or `TASK`.

        Raises InputError if a source cannot be read, a row is not as described, or an id stands twice.
        """
        return located_rows(sources, split, _own_row)


def _own_row(record: Record, number: int, split: Split) -> Row:
    require_fields(record, ["input", "output"])
    given_id = text_field(record, "id") if "id" in record.fields else None
    kind = _kind(record, given_id)
    # The split is in the id because ids are unique in the whole corpus.
    row_id = given_id or f"{split.value}-row{number}{SUFFIXES[kind]}"
    task = text_field(record, "task") if "task" in record.fields else task_of(row_id) or TASK
    return Row(row_id, text_field(record, "input"), text_field(record, "output"), task, kind, split)


def _kind(record: Record, row_id: str | None) -> Kind:
    by_id = None if row_id is None else kind_of(row_id)
    given = text_field(record, "kind") if "kind" in record.fields else None
    if given is not None and given not in list(Kind):
        raise record.error(f"kind {excerpt(given)} is unknown; must be one of {', '.join(Kind)}")
    if given is not None and by_id not in (None, given):
        raise record.error(f"kind {excerpt(given)} contradicts id {excerpt(row_id)}, which tells {by_id}")
    if by_id is None and given is None and row_id is not None:
        raise record.error(f"id {excerpt(row_id)}: kind cannot be told; add a key kind ({' or '.join(Kind)})")
    return by_id or Kind(given or Kind.QUESTION)
