"""Files of records, as data sets have them, and the rows that a reader makes of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearning.data.reader import FileReader
from unlearning.data.rows import Row, Split


def jsonl(path: Path, *records: dict[str, Any]) -> str:
    """Write one record a line and return the path as a configuration takes it."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def rows_of(reader: FileReader, sources: Sequence[str], split: Split) -> tuple[Row, ...]:
    """Return the rows that the reader makes of the sources."""
    return tuple(located.row for located in reader.rows(sources, split))
