"""Good input of the readers: what is read, and what is tolerated."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.records import rows_of
from unlearning.config.data import SandboxDataConfig, WorldConfig
from unlearning.data.corpus import fingerprint
from unlearning.data.jsonl import JsonlReader
from unlearning.data.load import load_corpus
from unlearning.data.membership import read_documents
from unlearning.data.mmlu import read_mmlu
from unlearning.data.reader import FileReader
from unlearning.data.rows import Corpus, Document, Kind, Row, Split
from unlearning.data.semeval import SemevalReader

OFFICIAL = [
    {"id": '"a"sc1', "input": "Once", "output": "upon a time", "task": "Task1"},
    {"id": '"a"qa0', "input": "When?", "output": "Once", "task": "Task1"},
    {
        "id": "b\u2028sc1",
        "input": "line\u2028separator \u0085",
        "output": "\U0001f600 caf\u00e9",
        "task": "Task2",
    },
]
ROWS = (
    Row('"a"sc1', "Once", "upon a time", "Task1", Kind.COMPLETION, Split.FORGET),
    Row('"a"qa0', "When?", "Once", "Task1", Kind.QUESTION, Split.FORGET),
    Row(
        "b\u2028sc1",
        "line\u2028separator \u0085",
        "\U0001f600 caf\u00e9",
        "Task2",
        Kind.COMPLETION,
        Split.FORGET,
    ),
)


def jsonl(*rows: dict[str, Any], end: str = "\n", start: bytes = b"") -> bytes:
    """Return the content of a JSONL file."""
    return start + end.join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write a parquet file and return its path."""
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        jsonl(*OFFICIAL),
        jsonl(*OFFICIAL) + b"\n",
        jsonl(*OFFICIAL) + b"\n\n \n",
        jsonl(*OFFICIAL, end="\r\n") + b"\r\n",
        jsonl(*OFFICIAL, start=b"\xef\xbb\xbf"),
        jsonl(*[row | {"split": "forget", "extra": 1} for row in OFFICIAL]),
    ],
    ids=[
        "no line feed at the end",
        "plain",
        "blank lines at the end",
        "CRLF",
        "byte order mark",
        "more columns",
    ],
)
@pytest.mark.parametrize(
    ("reader", "own"), [(SemevalReader(), False), (JsonlReader(joined_by=""), True)], ids=["semeval", "jsonl"]
)
def test_jsonl(tmp_path: Path, reader: FileReader, own: bool, content: bytes) -> None:
    """Blank lines at the end, CRLF, a byte order mark and further columns are tolerated."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert rows_of(reader, [str(path)], Split.FORGET) == tuple(replace(row, own=own) for row in ROWS)


def test_parquet(tmp_path: Path) -> None:
    """A parquet file has the same rows as a JSONL file."""
    path = write_parquet(tmp_path / "rows.parquet", [row | {"split": "forget"} for row in OFFICIAL])
    assert rows_of(SemevalReader(), [path], Split.FORGET) == ROWS


def test_parquet_with_categories(tmp_path: Path) -> None:
    """A column of categories is a column of texts."""
    table = pa.Table.from_pylist(OFFICIAL)
    pq.write_table(table.set_column(3, "task", table["task"].dictionary_encode()), tmp_path / "rows.parquet")
    assert rows_of(SemevalReader(), [str(tmp_path / "rows.parquet")], Split.FORGET) == ROWS


def test_several_sources_in_order(tmp_path: Path) -> None:
    """The rows of several files come in the order of the files."""
    first = write_parquet(tmp_path / "z.parquet", OFFICIAL[:2])
    (tmp_path / "a.jsonl").write_bytes(jsonl(OFFICIAL[2]))
    assert rows_of(SemevalReader(), [first, str(tmp_path / "a.jsonl")], Split.FORGET) == ROWS


def test_documents(tmp_path: Path) -> None:
    """A document without an id is named by its number."""
    (tmp_path / "m.jsonl").write_bytes(jsonl({"id": "7", "document": "a", "source": 1}, {"document": "b"}))
    assert read_documents(str(tmp_path / "m.jsonl")) == (Document("7", "a"), Document("document2", "b"))


def test_mmlu(tmp_path: Path) -> None:
    """Questions are numbered within their subject."""

    def asked(subject: str, answer: int) -> dict[str, Any]:
        return {"question": "?", "subject": subject, "choices": ["a", "b", "c", "d"], "answer": answer}

    write_parquet(tmp_path / "dev.parquet", [asked("art", 0), asked("law", 1)])
    write_parquet(tmp_path / "test.parquet", [asked("law", 2), asked("art", 3), asked("law", 0)])
    questions, examples = read_mmlu(str(tmp_path))
    assert [question.id for question in questions] == ["law/test/0", "art/test/0", "law/test/1"]
    assert [question.answer for question in questions] == [2, 3, 0]
    assert questions[0].options == ("a", "b", "c", "d")
    assert questions[0].cloze is None
    assert [example.id for example in examples] == ["art/dev/0", "law/dev/0"]


def test_first_documents_keep_all_their_rows(tmp_path: Path) -> None:
    """The limit counts documents of a task; their later rows stay too."""

    def rows(numbers: list[int], task: str) -> list[dict[str, Any]]:
        ids = [f"{task}-{number}{suffix}" for number in numbers for suffix in ("sc1", "qa0")]
        return [{"id": name, "input": name, "output": "b", "task": task} for name in ids]

    late = {"id": "Task1-1qa1", "input": "late", "output": "b", "task": "Task1"}
    (tmp_path / "f.jsonl").write_bytes(jsonl(*rows([1, 2, 3], "Task1"), *rows([5], "Task2"), late))
    (tmp_path / "r.jsonl").write_bytes(jsonl(*rows([6, 7, 8], "Task3")))

    def load(limit: int | None) -> Corpus:
        forget, retain = [str(tmp_path / "f.jsonl")], [str(tmp_path / "r.jsonl")]
        return SemevalReader(limit, forget, retain).read()

    cut = load(2)
    assert [row.id for row in cut.forget] == [
        *("Task1-1sc1", "Task1-1qa0", "Task1-2sc1", "Task1-2qa0", "Task2-5sc1", "Task2-5qa0", "Task1-1qa1")
    ]
    assert [row.id for row in cut.retain] == ["Task3-6sc1", "Task3-6qa0", "Task3-7sc1", "Task3-7qa0"]
    assert len(load(None).forget) == 9
    assert load(3) == load(None)
    assert cut.fingerprint != load(None).fingerprint


def test_unseen_rows_are_read_whole(tmp_path: Path) -> None:
    """They are written as forget rows are, no limit cuts them, and only a corpus that has them has another identity."""
    made = {name: [{"input": f"{name} {number}", "output": "b"} for number in range(3)] for name in ("f", "r", "u")}
    for name, rows in made.items():
        (tmp_path / f"{name}.jsonl").write_bytes(jsonl(*rows))
    forget, retain, unseen = ([str(tmp_path / f"{name}.jsonl")] for name in made)
    with_them = JsonlReader(1, forget, retain, unseen).read()
    assert [row.input for row in with_them.forget] == ["f 0"]
    assert [row.input for row in with_them.unseen] == ["u 0", "u 1", "u 2"]
    assert {row.split for row in with_them.unseen} == {Split.FORGET}
    without = JsonlReader(1, forget, retain).read()
    assert without.unseen == ()
    assert with_them.fingerprint != without.fingerprint
    assert fingerprint(replace(with_them, unseen=())) == without.fingerprint


def test_sandbox() -> None:
    """The sandbox is read as any other data set; a limit cuts rows, and members with them."""
    world = WorldConfig(documents_per_task=3, nonmember_documents=2, known_entities=2, teaching_entities=2)
    whole = load_corpus(SandboxDataConfig(world=world))
    again = load_corpus(SandboxDataConfig(world=world))
    one = load_corpus(SandboxDataConfig(world=world, max_documents_per_task=1))
    assert whole == again
    assert whole.fingerprint
    assert 0 < len(one.forget) < len(whole.forget)
    (member,) = one.members
    assert member in whole.members
    assert member.text in {f"{row.input} {row.output}" for row in one.forget}
    assert one.nonmembers == whole.nonmembers
