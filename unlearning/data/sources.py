"""Sources that a user names (a file, a folder, a Hugging Face data set), and their records."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from unlearning.data.records import Record, one_line, read_jsonl, read_parquet, table_records
from unlearning.errors import InputError

FORMS = "a .parquet or .jsonl file, a folder of them, or a Hugging Face name owner/name[:configuration]:split"
HUB_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*):((?P<configuration>[\w.-]+):)?(?P<split>[\w.-]+)"
)


def read_records(source: str) -> tuple[Record, ...]:
    """Return the records of one source, at least one.

    A folder stands for its parquet files, or for its JSONL files if it has no parquet: the official
    submission's folders hold the same rows in both. What exists on disk is never looked for on the hub.

    Raises InputError if the source is not found, has another form, cannot be read, or is empty.
    """
    if os.path.isdir(source):
        records = tuple(record for path in _files(Path(source)) for record in _read_file(path))
    elif os.path.exists(source):
        records = _read_file(Path(source))
    elif match := HUB_NAME.fullmatch(source):
        records = _download(source, match)
    else:
        raise InputError(one_line(f"{source or 'an empty name'}: not found; must be {FORMS}"))
    if not records:
        raise InputError(f"{source}: holds no rows")
    return records


def source_name(source: str) -> str:
    """Return a source's name: a file's or folder's name without suffix, or "name-configuration" of a data set."""
    match = HUB_NAME.fullmatch(source)
    if os.path.exists(source) or not match:
        return Path(source).stem
    parts = (match["name"].split("/")[1], match["configuration"])
    return "-".join(part for part in parts if part)


def _files(folder: Path) -> Sequence[Path]:
    for suffix in (".parquet", ".jsonl"):
        files = sorted(folder.glob(f"[!.]*{suffix}"))
        if files:
            return files
    raise InputError(f"{folder}: holds neither .parquet nor .jsonl files")


def _read_file(path: Path) -> tuple[Record, ...]:
    if path.suffix == ".parquet":
        return read_parquet(path)
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    raise InputError(f"{path}: unknown suffix {path.suffix!r}; must be {FORMS}")


def _download(source: str, name: re.Match[str]) -> tuple[Record, ...]:
    import datasets

    asked = [part for part in (name["name"], name["configuration"]) if part]
    try:
        rows: list[dict[str, object]] = datasets.load_dataset(*asked, split=name["split"]).to_list()
    except Exception as error:  # its network layers raise exceptions of several libraries, without a common base
        raise InputError(one_line(f"{source}: cannot be loaded from Hugging Face: {error}")) from error
    return table_records(source, rows)
