"""Records: the lines of a file or the rows of a table, each with its place, before their meaning is known."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """Named values, and their place."""

    place: str
    """ "forget.jsonl, line 3" or "forget.parquet, row 3 (counted from 1)"."""
    fields: Mapping[str, object]

    def error(self, reason: str) -> InputError:
        """Return an InputError that names the place; the caller raises it."""
        return InputError(one_line(f"{self.place}: {reason}"))


def one_line(message: str) -> str:
    """Return the message with every run of white space, line ends included, as one space."""
    return " ".join(message.split())


def excerpt(value: object, characters: int = 60) -> str:
    """Return a value quoted for a message, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= characters else f"{shown[:characters]}..."


def table_records(name: str, rows: Sequence[Mapping[str, object]]) -> tuple[Record, ...]:
    """Return the records of a table, each with its row number as place."""
    return tuple(Record(f"{name}, row {number} (counted from 1)", row) for number, row in enumerate(rows, start=1))


def read_parquet(path: Path) -> tuple[Record, ...]:
    """Return the records of a parquet file. Raises InputError if it is truncated or corrupt."""
    import pyarrow
    import pyarrow.parquet

    try:
        # ParquetFile and not read_table, which makes columns of folder names such as "split=forget".
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read()
        names: list[str] = table.column_names
        rows: list[dict[str, object]] = table.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(one_line(f"{path}: not a readable parquet file: {error}")) from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(one_line(f"{path}: column {', '.join(twice)} stands twice"))
    return table_records(str(path), rows)


def read_jsonl(path: Path) -> tuple[Record, ...]:
    """Return the records of a JSONL file; a byte order mark, CRLF and blank lines at the end are accepted.

    Raises InputError, with the line's number, for anything that is not one JSON object a line in UTF-8.
    """
    try:
        data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    except OSError as error:
        raise InputError(one_line(f"{path}: cannot be read: {error.strerror}")) from error
    # Only a line feed ends a line: str.splitlines would cut at U+2028 and others, which JSON allows inside text.
    lines = data.rstrip(b" \t\r\n").split(b"\n") if data.strip() else []
    return tuple(_parse(Record(f"{path}, line {number}", {}), line) for number, line in enumerate(lines, start=1))


def _parse(blank: Record, line: bytes) -> Record:
    if not line.strip():
        raise blank.error("blank line; only the end of a file may be blank")
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise blank.error(f"not UTF-8 (byte {error.start + 1} of the line)") from error
    except json.JSONDecodeError as error:
        raise blank.error(f"not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise blank.error(f"not usable JSON: {error}") from error
    if not isinstance(value, dict):
        raise blank.error(f"must be a JSON object, is {excerpt(value)}")
    return Record(blank.place, value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; json's own would silently keep the last of two values of one key."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {excerpt(next(name for name in names if names.count(name) > 1))} stands twice")
    return fields


# ---------------------------------------------------------------- fields


def require_fields(record: Record, names: Sequence[str]) -> None:
    """Raise InputError unless the record has all the named fields, whatever they hold."""
    missing = [name for name in names if name not in record.fields]
    if missing:
        raise record.error(f"missing {', '.join(missing)}; has {_listing(record.fields)}")


def text_field(record: Record, name: str) -> str:
    """Return the field's text. Raises InputError unless it is text, not blank, and free of lone surrogates."""
    value = record.fields[name]
    if value is None or value != value:
        raise record.error(f"{name} is {'null' if value is None else 'NaN'}; must be text")
    if not isinstance(value, str):
        raise record.error(f"{name} is {excerpt(value)}; must be text")
    if not value.strip():
        raise record.error(f"{name} is empty")
    if re.search(r"[\ud800-\udfff]", value):
        raise record.error(f"{name} holds half a surrogate pair, which no encoding of text allows")
    return value


def _listing(fields: Mapping[str, object], at_most: int = 8) -> str:
    names = sorted(fields)
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return (", ".join(names[:at_most]) or "nothing") + more
