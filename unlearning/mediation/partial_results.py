"""Finished facts on disk, so that a trace that was stopped continues where it was."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearning.artefacts import write_text
from unlearning.mediation.result import FactTrace


class PartialResults:
    """A JSONL file: one line with the fingerprint, then one line for each finished fact.

    A file with another fingerprint is emptied. Everything from the first broken line on is thrown away; a kill breaks
    at most the last line. Other processes write files of their own beside this one (`path_of_rank`).
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.finished = read_partial_results(path, key)
        self._write()

    def append(self, traces: Sequence[FactTrace]) -> None:
        """Add finished facts; they are on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.writelines(_line(trace.to_json()) for trace in traces)
            handle.flush()
            os.fsync(handle.fileno())
        self.finished |= {trace.fact: trace for trace in traces}

    def absorb(self) -> None:
        """Take over what other processes wrote beside this file, and remove their files."""
        others = sorted(self.path.parent.glob(path_of_rank(self.path, "*").name))
        for other in others:
            self.finished |= read_partial_results(other, self.key)
        self._write()
        for other in others:
            other.unlink()

    def _write(self) -> None:
        """Write the whole file anew, atomically."""
        lines = [_line({"key": self.key}), *(_line(trace.to_json()) for trace in self.finished.values())]
        write_text(self.path, "".join(lines))


def path_of_rank(path: Path, rank: int | str) -> Path:
    """Return the file of a process other than the first; the rank may be a pattern for `glob`."""
    return path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def read_partial_results(path: Path, key: str) -> dict[str, FactTrace]:
    """Return the facts of a file whose first line has this key, up to the first broken line.

    There are none where there is no such file.
    """
    if not path.is_file():
        return {}
    header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) or [""]
    found: dict[str, FactTrace] = {}
    for line in lines if header == _line({"key": key}) else []:
        trace = _trace(line)
        if trace is None:
            break
        found[trace.fact] = trace
    return found


def _trace(line: str) -> FactTrace | None:
    """Return the fact of a line; None if the line is broken."""
    if not line.endswith("\n"):
        return None
    try:
        return FactTrace.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None


def _line(value: dict[str, Any]) -> str:
    """Return the value as one line of JSON."""
    return json.dumps(value, allow_nan=False) + "\n"
