"""Rows read and checked, beside the place they came from, so that a complaint about two can name both."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.config import DataSource
from unlearning.data.ids import kind_of, task_of
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Kind, Row, Split
from unlearning.data.sources import read_records

OFFICIAL_TASKS = ("Task1", "Task2", "Task3")
SUFFIXES = {Kind.COMPLETION: "sc1", Kind.QUESTION: "qa0"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A row and where it stands."""

    row: Row
    record: Record


def read_placed(sources: Sequence[str], split: Split, source: DataSource) -> list[Placed]:
    """Rows of all sources, each with its place; `unlearning.data.readers.read_rows` says what is refused."""
    records = [record for name in sources for record in read_records(name)]
    read = _own_row if source is DataSource.jsonl else _official_row
    placed: dict[str, Placed] = {}
    for number, record in enumerate(records, start=1):
        _check_split(record, split)
        row = read(record, number, split)
        if row.id in placed:
            raise record.error(f"id {excerpt(row.id)} stands twice; first in {placed[row.id].record.place}")
        placed[row.id] = Placed(row, record)
    return list(placed.values())


def check_disjoint(forget: Sequence[Placed], retain: Sequence[Placed]) -> None:
    """Raise InputError if an id, or an input with its output, is in both sets."""
    ids = {placed.row.id: placed for placed in forget}
    texts = {(placed.row.input, placed.row.output): placed for placed in forget}
    for placed in retain:
        row = placed.row
        if row.id in ids:
            raise placed.record.error(f"id {excerpt(row.id)} is in the forget set too: {ids[row.id].record.place}")
        if twin := texts.get((row.input, row.output)):
            raise placed.record.error(f"the same input and output are in the forget set too: {twin.record.place}")


def _official_row(record: Record, _number: int, split: Split) -> Row:
    require_fields(record, ["id", "input", "output", "task"])
    row_id, task = text_field(record, "id"), text_field(record, "task")
    kind = kind_of(row_id)
    if kind is None:
        raise record.error(f"id {excerpt(row_id)}: kind cannot be told; must end in sc or qa and one digit")
    if task not in OFFICIAL_TASKS:
        raise record.error(f"task {excerpt(task)} is unknown; must be one of {', '.join(OFFICIAL_TASKS)}")
    return Row(row_id, text_field(record, "input"), text_field(record, "output"), task, kind, split)


def _own_row(record: Record, number: int, split: Split) -> Row:
    require_fields(record, ["input", "output"])
    given_id = text_field(record, "id") if "id" in record.fields else None
    kind = _own_kind(record, given_id)
    # The split is in the id because ids are unique in the whole corpus.
    row_id = given_id or f"{split.value}-row{number}{SUFFIXES[kind]}"
    task = text_field(record, "task") if "task" in record.fields else task_of(row_id) or OFFICIAL_TASKS[0]
    return Row(row_id, text_field(record, "input"), text_field(record, "output"), task, kind, split)


def _own_kind(record: Record, row_id: str | None) -> Kind:
    told = None if row_id is None else kind_of(row_id)
    given = text_field(record, "kind") if "kind" in record.fields else None
    if given is not None and given not in list(Kind):
        raise record.error(f"kind {excerpt(given)} is unknown; must be one of {', '.join(Kind)}")
    if given is not None and told not in (None, given):
        raise record.error(f"kind {excerpt(given)} contradicts id {excerpt(row_id)}, which tells {told}")
    if told is None and given is None and row_id is not None:
        raise record.error(f"id {excerpt(row_id)}: kind cannot be told; add a key kind ({' or '.join(Kind)})")
    return told or Kind(given or Kind.QUESTION)


def _check_split(record: Record, split: Split) -> None:
    if "split" in record.fields and record.fields["split"] != split.value:
        found = excerpt(record.fields["split"])
        raise record.error(f"split is {found}, but the file is given as data.{split.value}")
