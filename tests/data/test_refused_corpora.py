"""Malformed corpora: sets that contradict each other, documents and questions that cannot be used."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.records import jsonl
from unlearning.data.jsonl import JsonlReader
from unlearning.data.membership import read_documents
from unlearning.data.mmlu import read_mmlu
from unlearning.data.reader import FileReader
from unlearning.data.semeval import SemevalReader
from unlearning.errors import InputError

Fields = dict[str, Any]
ADA: Fields = {"id": "7sc1", "input": "Ada was born", "output": "in 1815.", "task": "Task3"}
ALAN: Fields = {"id": "9sc1", "input": "Alan was born", "output": "in 1912.", "task": "Task3"}


def one_line(message: str) -> bool:
    """Return whether the message is one line of sensible length."""
    return len(message.splitlines()) == 1 and len(message) < 1000


Make = Callable[[Path], FileReader]


def corpus(forget: Fields, retain: Fields, **more: Any) -> Make:
    """Return a function that writes the files of a corpus into a folder and returns a reader of them."""

    def make(folder: Path) -> FileReader:
        names: Any = {key: jsonl(folder / f"{key}.jsonl", *rows) for key, rows in more.items()}
        f, r = jsonl(folder / "forget.jsonl", forget), jsonl(folder / "retain.jsonl", retain)
        return SemevalReader(forget=[f], retain=[r], **names)

    return make


TEXT = {"document": "Ada was born."}
CORPORA: list[tuple[str, Make, list[str]]] = [
    (
        "same id",
        corpus(ADA, ALAN | {"id": "7sc1"}),
        ["retain.jsonl, line 1", "'7sc1'", "forget.jsonl, line 1"],
    ),
    (
        "same text",
        corpus(ADA, ADA | {"id": "9sc1"}),
        ["retain.jsonl, line 1", "same input and output", "forget.jsonl, line 1"],
    ),
    (
        "unseen rows that are retained",
        lambda folder: replace(
            corpus(ADA, ALAN)(folder), unseen=[jsonl(folder / "unseen.jsonl", ALAN | {"id": "8sc1"})]
        ),
        ["unseen.jsonl, line 1", "unseen row is in the retain set too", "retain.jsonl, line 1"],
    ),
    (
        "no forget",
        lambda _: JsonlReader(retain=["r.jsonl"]),
        ["data.forget: not given"],
    ),
    (
        "no retain",
        lambda _: JsonlReader(forget=["f.jsonl"]),
        ["data.retain: not given"],
    ),
    ("members alone", corpus(ADA, ALAN, members=[TEXT]), ["data.nonmembers: null"]),
    ("nonmembers alone", corpus(ADA, ALAN, nonmembers=[TEXT]), ["data.members: null"]),
    (
        "member and nonmember",
        corpus(ADA, ALAN, members=[TEXT], nonmembers=[{"document": "x"}, TEXT]),
        ["nonmembers.jsonl", "'document2'", "members.jsonl too"],
    ),
]


@pytest.mark.parametrize(("make", "words"), [case[1:] for case in CORPORA], ids=[case[0] for case in CORPORA])
def test_corpus_is_refused(tmp_path: Path, make: Make, words: list[str]) -> None:
    """The error is one line that names the files or the key."""
    with pytest.raises(InputError) as caught:
        make(tmp_path).read()
    assert one_line(str(caught.value))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"text": "a"}], ["line 1", "missing document", "has text"]),
        ([{"document": "a"}, {"document": ""}], ["line 2", "document is empty"]),
        ([{"document": None}], ["line 1", "document is null"]),
        ([{"id": "x", "document": "a"}, {"id": "x", "document": "b"}], ["line 2", "'x' stands twice"]),
        ([], ["holds no rows"]),
    ],
    ids=["no document", "empty document", "null document", "id twice", "no documents"],
)
def test_documents_are_refused(tmp_path: Path, rows: list[Fields], words: list[str]) -> None:
    """The error names the file, the row and the reason."""
    path = jsonl(tmp_path / "member.jsonl", *rows)
    with pytest.raises(InputError) as caught:
        read_documents(path)
    assert all(word in str(caught.value) for word in [path, *words]), caught.value


ASKED: Fields = {"question": "1 + 1?", "subject": "sums", "choices": ["1", "2", "3", "4"], "answer": 1}


@pytest.mark.parametrize(
    ("dev", "test", "words"),
    [
        ([ASKED], [ASKED | {"choices": ["1", "2"]}], ["test.parquet, row 1", "must be 4 texts"]),
        (
            [ASKED],
            [ASKED | {"choices": ["1", "2", "3", None]}],
            ["test.parquet, row 1", "choices[3] is null"],
        ),
        ([ASKED], [ASKED | {"answer": 4}], ["test.parquet, row 1", "answer is 4", "0 to 3"]),
        ([ASKED], [ASKED | {"answer": None}], ["answer is None"]),
        ([ASKED], [{"question": "1 + 1?", "subject": "sums"}], ["missing choices, answer"]),
        ([ASKED], [ASKED | {"subject": "art"}], ["dev.parquet", "no worked example", "'art'"]),
        (None, [ASKED], ["dev.parquet", "not found"]),
        ([ASKED], None, ["test.parquet", "not found"]),
    ],
    ids=[
        "two options",
        "null option",
        "answer 4",
        "null answer",
        "no choices",
        "no example",
        "no dev",
        "no test",
    ],
)
def test_mmlu_is_refused(tmp_path: Path, dev: list[Fields] | None, test: list[Fields] | None, words: list[str]) -> None:
    """The error is one line that names the file, the row and the reason."""
    for name, rows in (("dev", dev), ("test", test)):
        if rows is not None:
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    with pytest.raises(InputError) as caught:
        read_mmlu(str(tmp_path))
    assert one_line(str(caught.value))
    assert all(word in str(caught.value) for word in words), caught.value
