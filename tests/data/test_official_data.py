"""The official files, counted. The numbers are those of the task's public release and of LUME."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.data.settings import data_settings
from unlearning.config.prompt import PromptConfig
from unlearning.data.encoding import border_notice, encode_prompts, encode_rows
from unlearning.data.ids import document_id, kind_of, task_of
from unlearning.data.load import load_corpus
from unlearning.data.rows import Corpus, Kind, Row

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif("UNLEARNING_DATA" not in os.environ, reason="UNLEARNING_DATA is not set: no official data"),
]

COUNTS = {
    "semeval25": {"forget": [83, 83, 107, 535, 152, 152], "retain": [103, 103, 102, 510, 159, 159]},
    "semeval25_validation": {"forget": [24, 24, 23, 115, 34, 34], "retain": [27, 27, 25, 125, 37, 37]},
    "lume": {"forget": [243, 243, 250, 1250, 373, 373], "retain": [246, 246, 250, 1250, 371, 371]},
}
"""Rows of Task1 sc, Task1 qa, Task2 sc, ... of each set."""

_loaded: dict[str, Corpus] = {}


def official(name: str) -> Corpus:
    """Return a fold, read once."""
    if name not in _loaded:
        _loaded[name] = load_corpus(data_settings(f"data={name}"))
    return _loaded[name]


def counts(rows: tuple[Row, ...]) -> list[int]:
    """Return how many rows each kind of each task has."""
    found = Counter((row.task, row.kind) for row in rows)
    return [found[task, kind] for task in ("Task1", "Task2", "Task3") for kind in Kind]


@pytest.mark.by_default("semeval25")
@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    """Every fold has the published numbers of rows."""
    corpus = official(name)
    assert {"forget": counts(corpus.forget), "retain": counts(corpus.retain)} == COUNTS[name]


@pytest.mark.by_default("semeval25")
@pytest.mark.parametrize("name", COUNTS)
def test_ids_tell_kind_and_task(name: str) -> None:
    """The id alone tells kind and task, as the files say them."""
    corpus = official(name)
    for row in corpus.forget + corpus.retain:
        assert (kind_of(row.id), task_of(row.id)) == (row.kind, row.task)


@pytest.mark.by_default("semeval25")
@pytest.mark.parametrize("name", COUNTS)
def test_every_document_has_one_completion_and_is_in_one_set(name: str) -> None:
    """A document has one completion row, and no document is in both sets."""
    corpus = official(name)
    documents = [{document_id(row.id) for row in rows} for rows in (corpus.forget, corpus.retain)]
    assert not documents[0] & documents[1]
    for rows, names in zip((corpus.forget, corpus.retain), documents, strict=True):
        assert sum(row.kind is Kind.COMPLETION for row in rows) == len(names)


@pytest.mark.exhaustive
def test_public_rows_are_in_lume() -> None:
    """Both public folds are part of LUME."""
    lume = official("lume")
    for name in ("semeval25", "semeval25_validation"):
        assert set(official(name).forget) <= set(lume.forget)
        assert set(official(name).retain) <= set(lume.retain)


@pytest.mark.by_default("semeval25-150")
@pytest.mark.parametrize(("name", "members"), [("semeval25", 150), ("semeval25_validation", 34)])
def test_members_are_task3_forget_documents(name: str, members: int) -> None:
    """Members are texts of the forget set, nonmembers are not."""
    corpus = official(name)
    texts = {
        f"{row.input} {row.output}" for row in corpus.forget if row.task == "Task3" and row.kind is Kind.COMPLETION
    }
    assert len(corpus.members) == len(corpus.nonmembers) == members
    assert {document.text for document in corpus.members} <= texts
    assert not {document.text for document in corpus.nonmembers} & texts


def test_mmlu_has_57_subjects_with_five_examples_each() -> None:
    """MMLU is whole."""
    corpus = official("semeval25")
    assert len(corpus.questions) == 14042
    assert set(Counter(example.subject for example in corpus.examples).values()) == {5}
    assert len({question.subject for question in corpus.questions}) == 57
    assert len({question.id for question in corpus.questions}) == 14042


def test_first_documents() -> None:
    """Four documents of each task keep all their rows; of the members, those that are among them stay."""
    corpus = load_corpus(data_settings("data=semeval25", "data.max_documents_per_task=4"))
    assert counts(corpus.forget) == counts(corpus.retain) == [4, 4, 4, 20, 4, 4]
    kept = {f"{row.input} {row.output}" for row in corpus.forget}
    assert len(corpus.members) == 4
    assert {document.text for document in corpus.members} <= kept
    assert len(corpus.nonmembers) == 150


@pytest.mark.by_default("semeval25-158218")
@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("semeval25", 75_968 + 82_250),
        ("semeval25_validation", 18_557 + 20_377),
        ("lume", None),
    ],
)
def test_tokens_of_the_official_vocabulary(name: str, tokens: int | None) -> None:
    """On every row the prompt's tokens are those that the official evaluator asks with, and the rest is the output."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(os.environ["UNLEARNING_DATA"]) / "tokenizers" / "olmo-0724")
    corpus = official(name)
    rows = corpus.forget + corpus.retain
    prompt = PromptConfig(append_eos=False)
    encoded = encode_rows(rows, tokenizer, prompt)
    asked = tokenizer([row.input for row in rows])["input_ids"]
    answers = tokenizer([f" {row.output}" for row in rows], add_special_tokens=False)["input_ids"]
    assert [list(row.input_ids[: row.supervised_from]) for row in encoded] == asked
    assert [list(row.input_ids[row.supervised_from :]) for row in encoded] == answers
    assert encode_prompts([row.input for row in rows], tokenizer, prompt) == asked
    assert border_notice(rows, tokenizer, prompt) is None
    if tokens is not None:
        assert sum(len(row.input_ids) for row in encoded) == tokens
        assert max(len(row.input_ids) for row in encoded) <= 335
