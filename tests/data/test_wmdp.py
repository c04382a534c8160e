"""WMDP as its data sets have it: documents as rows, and questions with four choices."""

from pathlib import Path
from typing import Any

import pytest

from tests.data.records import jsonl
from unlearning.config.data import DocumentsConfig, WmdpDataConfig
from unlearning.data.load import load_corpus
from unlearning.data.rows import Question
from unlearning.errors import InputError

ASKED = {"question": " Which one? ", "choices": ["a", "b", "c", "d"], "answer": 2}


def config(folder: Path, **changes: Any) -> WmdpDataConfig:
    """Return settings with two forget corpora of two documents and one retain corpus."""
    texts = {
        "bio": ("Cells divide and grow", "Genes mutate now and then"),
        "cyber": ("Ports are scanned at night", "Keys leak all the time"),
        "wiki": ("Rivers run to the sea", "Mountains rise over the land"),
    }
    files = {
        name: jsonl(folder / f"{name}.jsonl", *({"text": text, "title": "-"} for text in those))
        for name, those in texts.items()
    }
    settings = {
        "forget": [files["bio"], files["cyber"]],
        "retain": [files["wiki"]],
        "documents": DocumentsConfig(least_characters=5, opening_words=2),
    }
    return WmdpDataConfig(**(settings | changes))


def test_every_corpus_is_a_task_of_its_own(tmp_path: Path) -> None:
    """The limit of documents holds for each corpus."""
    corpus = load_corpus(config(tmp_path, max_documents_per_task=1))
    assert [(row.task, row.input, row.output) for row in corpus.forget] == [
        ("bio", "Cells divide", "and grow"),
        ("cyber", "Ports are", "scanned at night"),
    ]
    assert [row.task for row in corpus.retain] == ["wiki"]
    assert corpus.wmdp == ()


def test_questions_by_subject(tmp_path: Path) -> None:
    """Subjects are named as the published prompts name them."""
    bio = jsonl(tmp_path / "wmdp-bio.jsonl", ASKED, {**ASKED, "question": "And then?"})
    chem = jsonl(tmp_path / "wmdp-chem.jsonl", ASKED)
    corpus = load_corpus(config(tmp_path, bio=bio, chem=chem))
    assert corpus.wmdp[0] == Question("bio/0", "biology", "Which one?", ("a", "b", "c", "d"), 2)
    assert [(item.id, item.subject) for item in corpus.wmdp[1:]] == [("bio/1", "biology"), ("chem/0", "chemistry")]
    assert corpus.questions == ()


def test_long_questions_can_be_left_out(tmp_path: Path) -> None:
    """The ids of the others stay what they were."""
    cyber = jsonl(tmp_path / "wmdp-cyber.jsonl", {**ASKED, "question": "x" * 11}, {**ASKED, "question": "y" * 10})
    corpus = load_corpus(config(tmp_path, cyber=cyber, most_question_characters=10))
    assert [item.id for item in corpus.wmdp] == ["cyber/1"]


def test_the_fingerprint_covers_the_questions(tmp_path: Path) -> None:
    """The same rows with questions have another fingerprint than without."""
    corpus = load_corpus(config(tmp_path, bio=jsonl(tmp_path / "wmdp-bio.jsonl", ASKED)))
    plain = load_corpus(config(tmp_path))
    assert corpus.forget == plain.forget
    assert len(corpus.wmdp) == 1
    assert corpus.fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"choices": ["a", "b"]}, r"choices is \['a', 'b'\]; must be 4 texts"),
        ({"choices": ["a", "b", "c", 4]}, "must be 4 texts"),
        ({"answer": 4}, "answer is 4; must be 0 to 3"),
        ({"answer": True}, "answer is True; must be 0 to 3"),
        ({"question": ""}, "question is empty"),
    ],
)
def test_what_is_no_question_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """The error names file and line."""
    bio = jsonl(tmp_path / "bad.jsonl", ASKED, {**ASKED, **change})
    with pytest.raises(InputError, match=rf"bad.jsonl, line 2: .*{reason}"):
        load_corpus(config(tmp_path, bio=bio))
