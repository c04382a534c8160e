"""Malformed rows: each file is refused in one line that names the file, the row and the reason."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.records import rows_of
from unlearning.data.jsonl import JsonlReader
from unlearning.data.rows import Split
from unlearning.data.semeval import SemevalReader
from unlearning.errors import InputError

Fields = dict[str, Any]
GOOD: Fields = {
    "id": "7sc1",
    "input": "Ada was born",
    "output": "in 1815.",
    "task": "Task3",
    "split": "forget",
}


def row(**changes: object) -> Fields:
    """Return a good row with changes."""
    return GOOD | changes


def without(key: str) -> Fields:
    """Return a good row without one field."""
    return {name: value for name, value in GOOD.items() if name != key}


def lines(*rows: object) -> bytes:
    """Return the content of a JSONL file."""
    return b"".join(json.dumps(item).encode() + b"\n" for item in rows)


def parquet(*rows: Fields) -> bytes:
    """Return the content of a parquet file of these rows."""
    return table(pa.Table.from_pylist(list(rows)))


def table(content: pa.Table) -> bytes:
    """Return the content of a parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink)
    return bytes(sink.getvalue().to_pybytes())


NO_ROWS = table(pa.Table.from_pylist([GOOD]).slice(0, 0))
TWIN_COLUMNS = table(pa.table([["7sc1"], ["a"], ["b"]], names=["id", "input", "input"]))
OFFICIAL: list[tuple[str, str, bytes, list[str]]] = [
    (
        "no id column",
        "f.parquet",
        parquet(without("id")),
        ["row 1", "missing id", "has input, output, split, task"],
    ),
    ("no task column", "f.parquet", parquet(without("task")), ["missing task"]),
    (
        "three columns missing",
        "f.parquet",
        parquet({"id": "7sc1"}),
        ["missing input, output, task", "has id"],
    ),
    (
        "no output key",
        "f.jsonl",
        lines(row(), without("output")),
        ["line 2", "missing output", "has id, input"],
    ),
    ("parquet null", "f.parquet", parquet(row(), row(id="8sc1", input=None)), ["row 2", "input is null"]),
    ("parquet NaN", "f.parquet", parquet(row(output=float("nan"))), ["row 1", "output is NaN"]),
    ("parquet number", "f.parquet", parquet(row(output=1815)), ["row 1", "output is 1815", "must be text"]),
    ("JSON null", "f.jsonl", lines(row(input=None)), ["line 1", "input is null"]),
    ("JSON NaN", "f.jsonl", lines(row(output=float("nan"))), ["line 1", "output is NaN"]),
    ("JSON number", "f.jsonl", lines(row(output=1815)), ["line 1", "output is 1815"]),
    ("JSON list", "f.jsonl", lines(row(input=["a"])), ["line 1", "input is ['a']"]),
    ("empty input", "f.jsonl", lines(row(input="")), ["line 1", "input is empty"]),
    ("blank output", "f.jsonl", lines(row(output=" \n")), ["line 1", "output is empty"]),
    ("empty id", "f.jsonl", lines(row(id="")), ["line 1", "id is empty"]),
    ("id a number", "f.jsonl", lines(row(id=7)), ["line 1", "id is 7", "must be text"]),
    ("id without kind", "f.jsonl", lines(row(id="7")), ["line 1", "'7'", "kind cannot be told", "sc or qa"]),
    ("two-digit suffix", "f.jsonl", lines(row(id="7qa10")), ["line 1", "'7qa10'", "one digit"]),
    ("unknown task", "f.parquet", parquet(row(task="Task4")), ["row 1", "'Task4'", "Task1, Task2, Task3"]),
    ("task lower case", "f.jsonl", lines(row(task="task1")), ["line 1", "'task1'"]),
    (
        "other split",
        "f.parquet",
        parquet(row(), row(id="8sc1", split="retain")),
        ["row 2", "'retain'", "data.forget"],
    ),
    ("split null", "f.parquet", parquet(row(), row(id="8sc1", split=None)), ["row 2", "split is None"]),
    ("id twice", "f.jsonl", lines(row(), row(), row(id="8sc1")), ["line 2", "'7sc1' stands twice", "line 1"]),
    ("parquet truncated", "f.parquet", parquet(row())[:-20], ["not a readable parquet file"]),
    ("parquet half", "f.parquet", parquet(row())[:100], ["not a readable parquet file"]),
    ("parquet is text", "f.parquet", lines(row()), ["not a readable parquet file"]),
    ("parquet of no bytes", "f.parquet", b"", ["not a readable parquet file"]),
    ("column twice", "f.parquet", TWIN_COLUMNS, ["column input stands twice"]),
    ("JSONL truncated", "f.jsonl", lines(row(), row(id="8sc1"))[:-30], ["line 2", "not JSON"]),
    ("JSON array", "f.jsonl", json.dumps([row()]).encode(), ["line 1", "must be a JSON object"]),
    ("pretty JSON", "f.jsonl", json.dumps(row(), indent=1).encode(), ["line 1", "not JSON", "column"]),
    ("JSON too deep", "f.jsonl", b"[" * 100_000, ["line 1", "not usable JSON"]),
    ("key twice", "f.jsonl", b'{"id": "7sc1", "id": "8sc1"}\n', ["line 1", "key 'id' stands twice"]),
    ("blank line inside", "f.jsonl", lines(row()) + b"\n" + lines(row(id="8sc1")), ["line 2", "blank line"]),
    (
        "Latin-1",
        "f.jsonl",
        lines(row()) + '{"id": "Jos\xe9"}'.encode("latin-1"),
        ["line 2", "not UTF-8", "byte 12"],
    ),
    ("UTF-16", "f.jsonl", json.dumps(row()).encode("utf-16"), ["line 1", "not UTF-8"]),
    (
        "half a surrogate",
        "f.jsonl",
        b'{"id": "7sc1", "input": "\\ud83d", "output": "b", "task": "Task1"}',
        ["surrogate"],
    ),
    ("JSONL of no bytes", "f.jsonl", b"", ["holds no rows"]),
    ("JSONL of blank lines", "f.jsonl", b"\n\n", ["holds no rows"]),
    ("parquet without rows", "f.parquet", NO_ROWS, ["holds no rows"]),
    ("other suffix", "f.csv", b"id,input\n", ["unknown suffix '.csv'", ".parquet or .jsonl"]),
]


def one_line(message: str) -> bool:
    """Return whether the message is one line of sensible length."""
    return len(message.splitlines()) == 1 and len(message) < 1000


@pytest.mark.parametrize(
    ("name", "content", "words"), [case[1:] for case in OFFICIAL], ids=[case[0] for case in OFFICIAL]
)
def test_official_file_is_refused(tmp_path: Path, name: str, content: bytes, words: list[str]) -> None:
    """The error is one line that names the file, the row and the reason."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        rows_of(SemevalReader(), [str(path)], Split.FORGET)
    message = str(caught.value)
    assert one_line(message)
    assert all(word in message for word in [str(path), *words]), message


OWN: list[tuple[str, bytes, list[str]]] = [
    ("no output", lines({"input": "a"}), ["line 1", "missing output", "has input"]),
    ("id a share", lines({"input": "a", "output": "b", "id": 0.5}), ["line 1", "id is 0.5", "must be text"]),
    ("id true", lines({"input": "a", "output": "b", "id": True}), ["line 1", "id is True"]),
    ("id twice", lines({"input": "a", "output": "b", "id": 0}, {"input": "c", "output": "d", "id": 0}), ["line 2"]),
    ("unknown kind", lines({"input": "a", "output": "b", "kind": "mc"}), ["line 1", "'mc'", "sc, qa"]),
    ("kind null", lines({"input": "a", "output": "b", "kind": None}), ["line 1", "kind is null"]),
    (
        "subject elsewhere",
        lines({"input": "Who is Ada?", "output": "b", "subject": "Tim"}),
        ["line 1", "'Tim' stands 0 times in input 'Who is Ada?'"],
    ),
    (
        "subject twice",
        lines({"input": "Is Al called Al?", "output": "b", "subject": "Al"}),
        ["line 1", "'Al' stands 2 times", "or subject_start and subject_end"],
    ),
    ("subject a number", lines({"input": "a", "output": "b", "subject": 7}), ["line 1", "subject is 7"]),
    (
        "subject without its end",
        lines({"input": "a", "output": "b", "subject_start": 0}),
        ["line 1", "has subject_start; must have subject alone, or both subject_start and subject_end"],
    ),
    (
        "subject beyond the input",
        lines({"input": "Ada?", "output": "b", "subject_start": 0, "subject_end": 5}),
        ["line 1", "subject_start=0, subject_end=5: must enclose words of input 'Ada?'"],
    ),
    (
        "subject of no words",
        lines({"input": "Ada ?", "output": "b", "subject_start": 3, "subject_end": 4}),
        ["line 1", "must enclose words"],
    ),
    (
        "subject that starts at a text",
        lines({"input": "Ada?", "output": "b", "subject_start": "0", "subject_end": 3}),
        ["line 1", "subject_start is '0'; must be a whole number"],
    ),
    ("task null", lines({"input": "a", "output": "b", "task": None}), ["line 1", "task is null"]),
    ("id null", lines({"input": "a", "output": "b", "id": None}), ["line 1", "id is null"]),
    (
        "made id taken",
        lines({"input": "a", "output": "b", "id": "forget-row2qa0"}, {"input": "c", "output": "d"}),
        ["line 2", "'forget-row2qa0' stands twice"],
    ),
]


@pytest.mark.parametrize(("content", "words"), [case[1:] for case in OWN], ids=[case[0] for case in OWN])
def test_own_file_is_refused(tmp_path: Path, content: bytes, words: list[str]) -> None:
    """The error is one line that names the file, the row and the reason."""
    path = tmp_path / "own.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        rows_of(JsonlReader(), [str(path)], Split.FORGET)
    assert one_line(str(caught.value))
    assert all(word in str(caught.value) for word in [str(path), *words]), caught.value
