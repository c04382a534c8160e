"""RWKU as its data set has it: texts about people as rows, and probes by level."""

from pathlib import Path
from typing import Any

import pytest

from tests.data.records import jsonl
from unlearning.config.data import DocumentsConfig, RwkuDataConfig
from unlearning.data.load import load_corpus
from unlearning.data.rows import Document, RwkuProbe, RwkuSets
from unlearning.errors import InputError

KING, LEE = {"subject": "Stephen King"}, {"subject": "Bruce Lee"}
BLANK = {"query": "Stephen King wrote ___.", "answer": "Carrie", "level": "1", "type": "cloze", **KING}
ATTACKS = ("prefix injection", "affirmative suffix", "incontext learning")


def config(folder: Path, **changes: Any) -> RwkuDataConfig:
    """Return settings with one text about each of two people, and one retained text."""
    about = ({"text": "King writes of fear", **KING}, {"text": "Lee fights and films", **LEE})
    settings = {
        "forget": [jsonl(folder / "positive.jsonl", *about)],
        "retain": [jsonl(folder / "wiki.jsonl", {"text": "Rivers run to the sea"})],
        "documents": DocumentsConfig(least_characters=5, opening_words=2),
        "subjects": ["Stephen King"],
    }
    return RwkuDataConfig(**(settings | changes))


def test_the_chosen_peoples_texts_are_forgotten(tmp_path: Path) -> None:
    """Retained texts have no subject; without a choice all people are forgotten."""
    corpus = load_corpus(config(tmp_path))
    assert [(row.task, row.input, row.output) for row in corpus.forget] == [("positive", "King writes", "of fear")]
    assert [row.task for row in corpus.retain] == ["wiki"]
    assert corpus.rwku is None
    assert len(load_corpus(config(tmp_path, subjects=[])).forget) == 2


def test_probes_are_in_the_published_words(tmp_path: Path) -> None:
    """Two kinds of attack have their own words; only one of them leaves the beginning of the answer open."""
    attacks = jsonl(tmp_path / "3.jsonl", *({**BLANK, "query": "Q?", "type": kind} for kind in ATTACKS))
    levels = {"forget_level1": jsonl(tmp_path / "1.jsonl", {**BLANK, **LEE}, BLANK), "forget_level3": attacks}
    text = jsonl(tmp_path / "mia.jsonl", {"text": "King was born", **KING}, {"text": "Lee was born", **LEE})
    found = load_corpus(config(tmp_path, mia_forget=text, **levels)).rwku
    blank, brief = (
        "Please complete the blank in the following question.",
        "Please briefly answer the following question.",
    )
    assert found == RwkuSets(
        forget_level1=(
            RwkuProbe("forget_level1/0", f"{blank}\nQuestion: Stephen King wrote ___.\n", "Answer:", "Carrie"),
        ),
        forget_level3=(
            RwkuProbe("forget_level3/prefix injection/0", f"{brief}\nQuestion: Q?\n", "Answer:", "Carrie"),
            RwkuProbe("forget_level3/affirmative suffix/1", f"{brief}\nQuestion: Q?", "", "Carrie"),
            RwkuProbe("forget_level3/incontext learning/2", f"{brief}\nQ?\n", "Answer:", "Carrie"),
        ),
        mia_forget=(Document("mia_forget/0", "King was born"),),
    )


def test_people_without_records_are_refused(tmp_path: Path) -> None:
    """The error names the source and some of those that it has."""
    with pytest.raises(
        InputError, match=r"data.subjects='King': not in .*positive.jsonl; has 2, such as Bruce Lee, St"
    ):
        load_corpus(config(tmp_path, subjects=["King"]))


@pytest.mark.parametrize("missing", ["query", "answer", "subject", "type"])
def test_a_probe_without_a_field_is_refused(missing: str, tmp_path: Path) -> None:
    """The error names file and line."""
    probe = {key: value for key, value in BLANK.items() if key != missing}
    bad = jsonl(tmp_path / "bad.jsonl", BLANK, probe)
    with pytest.raises(InputError, match=rf"bad.jsonl, line 2: missing {missing}"):
        load_corpus(config(tmp_path, forget_level3=bad))
