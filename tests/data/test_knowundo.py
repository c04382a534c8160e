"""KnowUnDo as its data set has it: one record a split, which holds two lists of questions."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.data import KnowundoDataConfig
from unlearning.data.load import load_corpus
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError

UNLEARN = {
    "train": [
        {"text": "Where does Ada live?", "labels": "In Dorn."},
        {"text": "Who are Ada's parents?", "labels": "Bo and Cy."},
    ],
    "val": [{"text": "What is Ada's address?", "labels": "1 Hill Road."}],
}
RETENTION = {
    "train": [{"text": "What did Ada write?", "labels": "Plays."}],
    "val": [{"text": "Which prize did Ada win?", "labels": "None."}],
}


def config(folder: Path, part: str) -> KnowundoDataConfig:
    """Return settings with both splits, one as parquet and one as JSONL."""
    pq.write_table(pa.Table.from_pylist([UNLEARN]), folder / "unlearn.parquet")
    (folder / "retention.jsonl").write_text(json.dumps(RETENTION))
    return KnowundoDataConfig(
        forget=[str(folder / "unlearn.parquet")],
        retain=[str(folder / "retention.jsonl")],
        part=part,
    )


@pytest.mark.parametrize(
    ("part", "forget", "retain"),
    [
        ("train", ["In Dorn.", "Bo and Cy."], ["Plays."]),
        ("val", ["1 Hill Road."], ["None."]),
        ("both", ["In Dorn.", "Bo and Cy.", "1 Hill Road."], ["Plays.", "None."]),
    ],
)
def test_the_part_that_is_asked_for(tmp_path: Path, part: str, forget: list[str], retain: list[str]) -> None:
    """Its questions come in the order of the record."""
    corpus = load_corpus(config(tmp_path, part))
    assert [row.output for row in corpus.forget] == forget
    assert [row.output for row in corpus.retain] == retain


def test_rows_are_questions(tmp_path: Path) -> None:
    """The input is the bare text; the id has the number within the split."""
    row = load_corpus(config(tmp_path, "train")).forget[1]
    name = "forget-unlearn-2qa0"
    assert row == Row(name, "Who are Ada's parents?", "Bo and Cy.", "unlearn", Kind.QUESTION, Split.FORGET, own=True)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "Where?", "labels": "Here."}, "missing train; has labels, text"),
        ({"train": []}, r"line 1: train is \[\]; must be a list of questions"),
        ({"train": "Where?"}, "must be a list of questions"),
        ({"train": ["Where?"]}, r"line 1, train\[0\]: is 'Where\?'; must have text and labels"),
        ({"train": [UNLEARN["train"][0], {"text": "Where?"}]}, r"line 1, train\[1\]: missing labels; has text"),
    ],
)
def test_what_is_no_question_is_refused(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    """The error names the place inside the record."""
    (tmp_path / "bad.jsonl").write_text(json.dumps(record))
    made = config(tmp_path, "train")
    made.retain = [str(tmp_path / "bad.jsonl")]
    with pytest.raises(InputError, match=reason):
        load_corpus(made)


def test_settings_that_make_no_sense_are_refused() -> None:
    """Each is refused with its key."""
    with pytest.raises(InputError, match=r"data.domain=film: must be one of privacy, copyright"):
        check_ranges(KnowundoDataConfig(domain="film"), "data")
    with pytest.raises(InputError, match=r"data.part=test: must be one of train, val, both"):
        check_ranges(KnowundoDataConfig(part="test"), "data")
