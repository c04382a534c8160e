"""What a name stands for: a file, a folder, a data set on Hugging Face, or nothing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.records import jsonl, rows_of
from unlearning.data.rows import Kind, Row, Split
from unlearning.data.semeval import SemevalReader
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
    """Write the official rows as a parquet file and return its path."""
    pq.write_table(pa.Table.from_pylist(OFFICIAL), path)
    return str(path)


def test_folder_names_are_no_columns(tmp_path: Path) -> None:
    """A folder named "split=retain" adds no column to the files in it."""
    (tmp_path / "split=retain").mkdir()
    path = write_parquet(tmp_path / "split=retain" / "rows.parquet")
    assert rows_of(SemevalReader(), [path], Split.FORGET) == ROWS


def test_folder_prefers_parquet(tmp_path: Path) -> None:
    """Of a folder with the same rows twice, the parquet file is read."""
    write_parquet(tmp_path / "forget.parquet")
    jsonl(tmp_path / "forget.jsonl", *OFFICIAL)
    assert rows_of(SemevalReader(), [str(tmp_path)], Split.FORGET) == ROWS


def test_folder_of_jsonl_in_order_of_names(tmp_path: Path) -> None:
    """The files of a folder are read in the order of their names."""
    jsonl(tmp_path / "b.jsonl", *OFFICIAL[1:])
    jsonl(tmp_path / "a.jsonl", OFFICIAL[0])
    assert rows_of(SemevalReader(), [str(tmp_path)], Split.FORGET) == ROWS


def test_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name owner/name:split is downloaded from Hugging Face."""
    import datasets

    asked: list[tuple[str, str]] = []

    def load(name: str, split: str) -> datasets.Dataset:
        asked.append((name, split))
        return datasets.Dataset.from_list(OFFICIAL)

    monkeypatch.setattr("datasets.load_dataset", load)
    assert rows_of(SemevalReader(), ["owner/name.v1:forget_train"], Split.FORGET) == ROWS
    assert asked == [("owner/name.v1", "forget_train")]


def test_what_exists_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on disk is read, though its name could be one of the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: pytest.fail("looked for on the hub"))
    folder = tmp_path / "owner" / "name:train"
    folder.mkdir(parents=True)
    write_parquet(folder / "rows.parquet")
    assert rows_of(SemevalReader(), ["owner/name:train"], Split.FORGET) == ROWS


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
    """Nothing is looked for on the hub unless the name has its form."""
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: pytest.fail("looked for on the hub"))
    with pytest.raises(InputError, match="not found; must be") as caught:
        rows_of(SemevalReader(), [source], Split.FORGET)
    assert len(str(caught.value).splitlines()) == 1


def test_folder_without_data(tmp_path: Path) -> None:
    """Hidden files and files of other kinds do not count."""
    (tmp_path / ".hidden.parquet").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds neither \.parquet nor \.jsonl"):
        rows_of(SemevalReader(), [str(tmp_path)], Split.FORGET)


def test_hub_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the download is one line that names the source."""

    def fail(name: str, split: str) -> None:
        raise ConnectionError(f"Couldn't reach {name}\nwith split {split}\n  Max retries exceeded")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(InputError, match="owner/name:train: cannot be loaded from Hugging Face: Couldn't") as caught:
        rows_of(SemevalReader(), ["owner/name:train"], Split.FORGET)
    assert len(str(caught.value).splitlines()) == 1
