"""Write files that are whole or not there: each is written beside its final name, then renamed."""

import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_file(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a new file, then move it to `path`: a kill or a full disk leaves the old file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        fill(partial)
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the bytes atomically."""
    write_file(path, lambda partial: partial.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write the text in UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with a final newline, atomically. Raises ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object on each line, atomically. Raises ValueError for NaN and infinity."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header line, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a new folder, then move that folder to `path` in place of what was there.

    Only the owner of the folder around it may call this (`locks.take`): two processes at once would be in each other's
    way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.partial"):
        # A kill left it behind.
        shutil.rmtree(left, ignore_errors=True)
    partial = _partial(path)
    partial.mkdir()
    try:
        fill(partial)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder, without those in folders inside; 0 where there is none."""
    sizes = 0
    for path in folder.glob("*") if folder.is_dir() else ():
        with suppress(OSError):  # moved away meanwhile
            sizes += path.stat().st_size
    return sizes


def remove_if_only(folder: Path, names: Set[str]) -> None:
    """Remove a folder that holds nothing but files of these names, and its parents as long as they are empty then.

    The working folder and what is above it stay.
    """
    if not folder.is_dir() or not {item.name for item in folder.iterdir()} <= names:
        return
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # not empty any more, or not ours
        for empty in (folder, *folder.parents):
            if empty.resolve() in (Path.cwd(), *Path.cwd().parents):
                return
            empty.rmdir()


def _partial(path: Path) -> Path:
    """Return a new hidden name beside `path`, which no other process has, also none of another machine."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
