"""What a name stands for: a file, a folder, a data set on Hugging Face, or nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unlearning.config import DataSource
from unlearning.data.readers import read_rows
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError

OFFICIAL = [
    {"id": '"a"sc1', "input": "Once", "output": "upon a time", "task": "Task1"},
    {"id": '"a"qa0', "input": "When?", "output": "Once", "task": "Task1"},
]
ROWS = (
    Row('"a"sc1', "Once", "upon a time", "Task1", Kind.COMPLETION, Split.FORGET),
    Row('"a"qa0', "When?", "Once", "Task1", Kind.QUESTION, Split.FORGET),
)


def write_parquet(path: Path) -> str:
    pq.write_table(pa.Table.from_pylist(OFFICIAL), path)
    return str(path)


def write_jsonl(path: Path, *rows: dict[str, str]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_folder_names_are_no_columns(tmp_path: Path) -> None:
    (tmp_path / "split=retain").mkdir()
    path = write_parquet(tmp_path / "split=retain" / "rows.parquet")
    assert read_rows([path], Split.FORGET, DataSource.semeval) == ROWS


def test_folder_prefers_parquet(tmp_path: Path) -> None:
    write_parquet(tmp_path / "forget.parquet")
    write_jsonl(tmp_path / "forget.jsonl", *OFFICIAL)
    assert read_rows([str(tmp_path)], Split.FORGET, DataSource.semeval) == ROWS


def test_folder_of_jsonl_in_order_of_names(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b.jsonl", *OFFICIAL[1:])
    write_jsonl(tmp_path / "a.jsonl", OFFICIAL[0])
    assert read_rows([str(tmp_path)], Split.FORGET, DataSource.lume) == ROWS


def test_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[tuple[str, str]] = []

    def load(name: str, split: str) -> datasets.Dataset:
        asked.append((name, split))
        return datasets.Dataset.from_list(OFFICIAL)

    monkeypatch.setattr("datasets.load_dataset", load)
    assert read_rows(["owner/name.v1:forget_train"], Split.FORGET, DataSource.semeval) == ROWS
    assert asked == [("owner/name.v1", "forget_train")]


def test_what_exists_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: pytest.fail("looked for on the hub"))
    folder = tmp_path / "owner" / "name:train"
    folder.mkdir(parents=True)
    write_parquet(folder / "rows.parquet")
    assert read_rows(["owner/name:train"], Split.FORGET, DataSource.semeval) == ROWS


@pytest.mark.parametrize(
    "source",
    [
        "",
        "missing.parquet",
        "data/missing.jsonl",
        "./owner/name:split",
        "/owner/name:split",
        "owner/name",
        "a/b/c:d",
        "a\0b",
    ],
)
def test_source_that_is_not_there(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: pytest.fail("looked for on the hub"))
    with pytest.raises(InputError, match="not found; must be") as caught:
        read_rows([source], Split.FORGET, DataSource.semeval)
    assert len(str(caught.value).splitlines()) == 1


def test_folder_without_data(tmp_path: Path) -> None:
    (tmp_path / ".hidden.parquet").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds neither \.parquet nor \.jsonl"):
        read_rows([str(tmp_path)], Split.FORGET, DataSource.semeval)


def test_hub_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, split: str) -> None:
        raise ConnectionError(f"Couldn't reach {name}\nwith split {split}\n  Max retries exceeded")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(InputError, match="owner/name:train: cannot be loaded from Hugging Face: Couldn't") as caught:
        read_rows(["owner/name:train"], Split.FORGET, DataSource.semeval)
    assert len(str(caught.value).splitlines()) == 1
