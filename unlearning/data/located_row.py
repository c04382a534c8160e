"""Rows beside the records that they were read from, so that an error about a row names its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unlearning.data.records import Record, excerpt
from unlearning.data.rows import Row, Split
from unlearning.data.sources import read_records


@dataclass(frozen=True, slots=True)
class LocatedRow:
    """A row and the record that it was read from."""

    row: Row
    record: Record


def located_rows(
    sources: Sequence[str], split: Split, make_row: Callable[[Record, int, Split], Row]
) -> list[LocatedRow]:
    """Return one row for each record of all sources, in order.

    `make_row` gets the record, its number (counted from 1 over all sources) and the split. A "split" column, where
    there is one, must agree with `split`.

    Raises InputError if a source cannot be read, a record is of the other split, or an id stands twice.
    """
    records = [record for name in sources for record in read_records(name)]
    located: dict[str, LocatedRow] = {}
    for number, record in enumerate(records, start=1):
        _check_split(record, split)
        row = make_row(record, number, split)
        if row.id in located:
            raise record.error(f"id {excerpt(row.id)} stands twice; first in {located[row.id].record.place}")
        located[row.id] = LocatedRow(row, record)
    return list(located.values())


def check_disjoint(forget: Sequence[LocatedRow], retain: Sequence[LocatedRow]) -> None:
    """Raise InputError if an id, or an input with its output, is in both sets."""
    ids = {located.row.id: located for located in forget}
    texts = {(located.row.input, located.row.output): located for located in forget}
    for located in retain:
        row = located.row
        if row.id in ids:
            raise located.record.error(f"id {excerpt(row.id)} is in the forget set too: {ids[row.id].record.place}")
        if twin := texts.get((row.input, row.output)):
            raise located.record.error(f"the same input and output are in the forget set too: {twin.record.place}")


def check_unseen(unseen: Sequence[LocatedRow], forget: Sequence[LocatedRow], retain: Sequence[LocatedRow]) -> None:
    """Raise InputError if an input with its output is among the unseen rows and in one of the two sets."""
    texts = {(located.row.input, located.row.output): located for located in (*forget, *retain)}
    for located in unseen:
        if twin := texts.get((located.row.input, located.row.output)):
            raise located.record.error(f"unseen row is in the {twin.row.split} set too: {twin.record.place}")


def _check_split(record: Record, split: Split) -> None:
    if "split" in record.fields and record.fields["split"] != split.value:
        found = excerpt(record.fields["split"])
        raise record.error(f"split is {found}, but the file is given as data.{split.value}")
