"""Malformed corpora: sets that contradict each other, documents and questions that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unlearning.config import DataConfig, DataSource
from unlearning.data.readers import load_corpus, read_documents, read_mmlu
from unlearning.errors import InputError

Fields = dict[str, Any]
ADA: Fields = {"id": "7sc1", "input": "Ada was born", "output": "in 1815.", "task": "Task3"}
ALAN: Fields = {"id": "9sc1", "input": "Alan was born", "output": "in 1912.", "task": "Task3"}


def write(folder: Path, name: str, *rows: Fields) -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


def one_line(message: str) -> bool:
    return len(message.splitlines()) == 1 and len(message) < 1000


Build = Callable[[Path], DataConfig]


def corpus(forget: Fields, retain: Fields, **more: Any) -> Build:
    def build(folder: Path) -> DataConfig:
        names: Any = {key: write(folder, f"{key}.jsonl", *rows) for key, rows in more.items()}
        f, r = write(folder, "forget.jsonl", forget), write(folder, "retain.jsonl", retain)
        return DataConfig(source=DataSource.semeval, forget=[f], retain=[r], **names)

    return build


def sandbox(**more: Any) -> Build:
    return lambda _: DataConfig(source=DataSource.sandbox, **more)


TEXT = {"document": "Ada was born."}
CORPORA: list[tuple[str, Build, list[str]]] = [
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
        "no forget",
        lambda _: DataConfig(source=DataSource.jsonl, retain=["r.jsonl"]),
        ["data.forget: not given"],
    ),
    (
        "no retain",
        lambda _: DataConfig(source=DataSource.jsonl, forget=["f.jsonl"]),
        ["data.retain: not given"],
    ),
    ("members alone", corpus(ADA, ALAN, members=[TEXT]), ["data.nonmembers: null"]),
    ("nonmembers alone", corpus(ADA, ALAN, nonmembers=[TEXT]), ["data.members: null"]),
    (
        "member and nonmember",
        corpus(ADA, ALAN, members=[TEXT], nonmembers=[{"document": "x"}, TEXT]),
        ["nonmembers.jsonl", "'document2'", "members.jsonl too"],
    ),
    (
        "sandbox with rows",
        sandbox(forget=["f.jsonl"]),
        ["data.forget=['f.jsonl']", "must be empty", "sandbox"],
    ),
    ("sandbox with MMLU", sandbox(mmlu="mmlu"), ["data.mmlu=mmlu", "must be empty"]),
]


@pytest.mark.parametrize(("build", "words"), [case[1:] for case in CORPORA], ids=[case[0] for case in CORPORA])
def test_corpus_is_refused(tmp_path: Path, build: Build, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus(build(tmp_path))
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
    path = write(tmp_path, "member.jsonl", *rows)
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
    for name, rows in (("dev", dev), ("test", test)):
        if rows is not None:
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    with pytest.raises(InputError) as caught:
        read_mmlu(str(tmp_path))
    assert one_line(str(caught.value))
    assert all(word in str(caught.value) for word in words), caught.value
