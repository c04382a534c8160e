"""Files of records, as data sets have them."""

import json
from pathlib import Path
from typing import Any


def jsonl(path: Path, *records: dict[str, Any]) -> str:
    """Write one record a line; returns the path as a configuration takes it."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)
