"""Rows of a user's own: what a record says, and what is made up for what it does not say."""

from pathlib import Path

import pytest

from tests.data.records import rows_of
from tests.data.test_reader import jsonl, write_parquet
from unlearning.config.data import JsonlDataConfig
from unlearning.data.jsonl import JsonlReader
from unlearning.data.load import load_corpus
from unlearning.data.rows import Kind, Row, Split

UUID = "2ebbbb06-ab81-4bdf-af75-0157c7178a82"


@pytest.mark.parametrize(
    ("fields", "row_id", "task", "kind"),
    [
        ({}, "retain-row1qa0", "Task1", Kind.QUESTION),
        ({"kind": "sc"}, "retain-row1sc1", "Task1", Kind.COMPLETION),
        ({"kind": "qa", "task": "poems"}, "retain-row1qa0", "poems", Kind.QUESTION),
        ({"id": "x", "kind": "sc"}, "x", "Task1", Kind.COMPLETION),
        ({"id": "x1sc1"}, "x1sc1", "Task1", Kind.COMPLETION),
        ({"id": "x1sc1", "kind": "qa"}, "x1sc1", "Task1", Kind.QUESTION),
        ({"id": "misc0"}, "misc0", "Task1", Kind.QUESTION),
        ({"id": "misc0", "kind": "sc"}, "misc0", "Task1", Kind.COMPLETION),
        ({"id": 0}, "retain-0", "Task1", Kind.QUESTION),
        ({"id": 12, "kind": "sc"}, "retain-12", "Task1", Kind.COMPLETION),
        ({"id": f"{UUID}qa3"}, f"{UUID}qa3", "Task2", Kind.QUESTION),
        ({"id": "12qa0", "task": "poems"}, "12qa0", "poems", Kind.QUESTION),
    ],
)
def test_own_rows(tmp_path: Path, fields: dict[str, str], row_id: str, task: str, kind: Kind) -> None:
    """What a row does not say is told by its id, or is at its default; the separator takes the place of white space."""
    (tmp_path / "own.jsonl").write_bytes(jsonl({"input": " a ", "output": "b\n"} | fields))
    for separator, text, output in ((" ", " a", "b"), ("", " a ", "b\n")):
        (read,) = rows_of(JsonlReader(joined_by=separator), [str(tmp_path / "own.jsonl")], Split.RETAIN)
        assert read == Row(row_id, text, output, task, kind, Split.RETAIN, own=True)


def test_made_ids_are_unique_in_the_corpus(tmp_path: Path) -> None:
    """Rows without ids are numbered over all files of a split."""
    for name, texts in (("f1", "ab"), ("f2", "c"), ("r", "de")):
        (tmp_path / f"{name}.jsonl").write_bytes(jsonl(*[{"input": text, "output": text} for text in texts]))
    paths = {name: str(tmp_path / f"{name}.jsonl") for name in ("f1", "f2", "r")}
    corpus = load_corpus(JsonlDataConfig(forget=[paths["f1"], paths["f2"]], retain=[paths["r"]]))
    assert [row.id for row in corpus.forget] == [f"forget-row{n}qa0" for n in (1, 2, 3)]
    assert [row.id for row in corpus.retain] == [f"retain-row{n}qa0" for n in (1, 2)]
    assert (corpus.members, corpus.nonmembers, corpus.questions, corpus.examples) == ((), (), (), ())


def test_numbers_as_ids_of_a_parquet_file(tmp_path: Path) -> None:
    """Both splits may be counted from 0."""
    rows = [{"id": number, "input": f"{number}?", "output": "b"} for number in range(2)]
    paths = [write_parquet(tmp_path / f"{name}.parquet", rows) for name in "fr"]
    other = [row | {"input": f"other {row['input']}"} for row in rows]
    write_parquet(tmp_path / "r.parquet", other)
    corpus = load_corpus(JsonlDataConfig(forget=paths[:1], retain=paths[1:]))
    assert [row.id for row in corpus.forget + corpus.retain] == ["forget-0", "forget-1", "retain-0", "retain-1"]


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({}, None),
        ({"subject": None, "subject_start": None}, None),
        ({"subject": "Ada Brook"}, (9, 18)),
        ({"subject": " Ada Brook "}, (9, 18)),
        ({"subject_start": 9, "subject_end": 12}, (9, 12)),
        ({"subject": None, "subject_start": 9, "subject_end": 18}, (9, 18)),
    ],
)
def test_subjects(tmp_path: Path, fields: dict[str, object], subject: tuple[int, int] | None) -> None:
    """The words of the input that the row asks about, by their characters."""
    path = tmp_path / "own.jsonl"
    path.write_bytes(jsonl({"input": "Where is Ada Brook?", "output": "b"} | fields))
    (read,) = rows_of(JsonlReader(), [str(path)], Split.FORGET)
    assert read.subject == subject


def test_what_is_said_of_kinds(tmp_path: Path) -> None:
    """A line for rows that tell no kind, and one for rows whose kind contradicts their id."""
    told = [{"kind": "sc"}, {"id": "1sc1"}, {"id": "2qa0", "kind": "qa"}]
    forget = [*told, {}, {"id": "misc0"}, {"id": 3}, {"id": "4sc1", "kind": "qa"}]
    paths = {}
    for name, fields in (("f", forget), ("told", told), ("r", [{"kind": "qa"}])):
        paths[name] = str(tmp_path / f"{name}.jsonl")
        rows = [{"input": f"{name}{number}", "output": "b"} | own for number, own in enumerate(fields)]
        (tmp_path / f"{name}.jsonl").write_bytes(jsonl(*rows))
    assert load_corpus(JsonlDataConfig(forget=[paths["told"]], retain=[paths["r"]])).notes == ()
    corpus = load_corpus(JsonlDataConfig(forget=[paths["f"]], retain=[paths["r"]]))
    assert corpus.notes == (
        f"rows that tell no kind: 3 (the first: {paths['f']}, line 4); they count as questions, scored by exact match, "
        "unless a column kind (qa or sc) says otherwise",
        f"rows whose kind contradicts their id: 1 (the first: {paths['f']}, line 7); the kind counts",
    )
