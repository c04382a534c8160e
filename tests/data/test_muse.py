"""MUSE as its data sets have it: documents as rows, passages and questions, documents of the privacy test."""

from pathlib import Path
from typing import Any

import pytest

from tests.data.records import jsonl
from unlearning.config.checks import check_ranges
from unlearning.config.data import DocumentsConfig, MuseDataConfig
from unlearning.data.documents import cut, split_opening
from unlearning.data.ids import kind_of
from unlearning.data.load import load_corpus
from unlearning.data.rows import Document, Kind, Row, Split
from unlearning.errors import InputError

TEXT = "One two three.\nFour five six seven. Eight nine ten."


def config(folder: Path, **changes: Any) -> MuseDataConfig:
    """Return settings with forget and retain documents, and with passages and questions."""
    settings = {
        "forget": [jsonl(folder / "forget.jsonl", {"text": TEXT}, {"text": " \n"}, {"text": "Short one."})],
        "retain": [jsonl(folder / "retain1.jsonl", {"text": "Eleven twelve thirteen fourteen fifteen"})],
        "documents": DocumentsConfig(most_characters=36, least_characters=10, opening_words=2),
        "verbatim": jsonl(folder / "verbmem.jsonl", {"prompt": "It was a", "gt": "dark night"}),
        "forget_questions": jsonl(folder / "forget_qa.jsonl", {"question": "Who won?", "answer": "Selby"}),
        "forget_examples": jsonl(
            folder / "icl.jsonl", {"question": "How?", "answer": "Well"}, {"question": "When?", "answer": "Now"}
        ),
        "retain_questions": jsonl(folder / "retain_qa.jsonl", {"question": "Where?", "answer": "Here"}),
    }
    return MuseDataConfig(**(settings | changes))


def test_pieces_are_as_long_as_they_may_be() -> None:
    """White space is lost between pieces, not within them; a longer word is cut. ("ab cd ef" has 8 characters.)"""
    assert list(cut("ab cd ef gh\n\n ij", 8)) == ["ab cd ef", "gh\n\n ij"]
    assert list(cut("abcdefghij kl", 4)) == ["abcd", "efgh", "ij", "kl"]
    assert list(cut("  a  ", 4)) == ["a"]
    assert list(cut(" \n", 4)) == []


@pytest.mark.parametrize(
    ("piece", "words", "parts"),
    [
        ("a b c d", 2, ("a b", "c d")),
        ("a b\nc d e", 2, ("a b\nc", "d e")),
        ("a\nb\nc", 1, ("a", "b\nc")),
        ("a b", 5, ("a", "b")),
        ("ab", 1, None),
    ],
)
def test_the_opening_ends_at_a_space(piece: str, words: int, parts: tuple[str, str] | None) -> None:
    """It ends after the words asked for, or at the next space; where there is none, other white space is lost."""
    assert split_opening(piece, words) == parts


def test_documents_become_rows(tmp_path: Path) -> None:
    """The text up to "seven." has 35 characters; the rest, of 16, is a row too; "Short one.", of 10, is too short."""
    corpus = load_corpus(config(tmp_path))
    task, kind, split = "forget", Kind.COMPLETION, Split.FORGET
    assert corpus.forget == (
        Row("forget-forget-1-1sc1", "One two", "three.\nFour five six seven.", task, kind, split, own=True),
        Row("forget-forget-1-2sc1", "Eight nine", "ten.", task, kind, split, own=True),
    )
    assert kind_of(corpus.forget[1].id) is Kind.COMPLETION
    assert [row.input for row in corpus.retain] == ["Eleven twelve"]


def test_only_the_first_pieces(tmp_path: Path) -> None:
    """Only as many pieces of a document become rows as are asked for."""
    documents = DocumentsConfig(most_characters=36, least_characters=10, opening_words=2, rows_per_document=1)
    corpus = load_corpus(config(tmp_path, documents=documents))
    assert [row.id for row in corpus.forget] == ["forget-forget-1-1sc1"]


def test_what_is_asked(tmp_path: Path) -> None:
    """Examples stand before each question; the prompt ends in a space, as in the released code."""
    sets = load_corpus(config(tmp_path)).muse
    assert sets is not None
    assert sets.verbatim == (Row("verbatim/0", "It was a", "dark night", "muse", Kind.COMPLETION, Split.FORGET),)
    (forget,), (retain,) = sets.forget, sets.retain
    assert (
        forget.input == "Question: How?\nAnswer: Well\n\nQuestion: When?\nAnswer: Now\n\nQuestion: Who won?\nAnswer: "
    )
    assert (forget.id, forget.output, forget.kind) == ("forget/0", "Selby", Kind.QUESTION)
    assert (retain.id, retain.input, retain.split) == ("retain/0", "Question: Where?\nAnswer: ", Split.RETAIN)
    nothing = dict.fromkeys(("verbatim", "forget_questions", "forget_examples", "retain_questions"))
    assert load_corpus(config(tmp_path, **nothing)).muse is None


def test_documents_of_the_privacy_test_are_texts(tmp_path: Path) -> None:
    """The field of their text is "text", not "document"."""
    names = {key: jsonl(tmp_path / f"{key}.jsonl", {"text": key}) for key in ("members", "nonmembers")}
    corpus = load_corpus(config(tmp_path, **names))
    assert corpus.members == (Document("document1", "members"),)
    assert corpus.nonmembers == (Document("document1", "nonmembers"),)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """The error names file and line, or the key that leaves everything out."""
    with pytest.raises(InputError, match=r"bad.jsonl, line 1: missing text; has document"):
        load_corpus(config(tmp_path, forget=[jsonl(tmp_path / "bad.jsonl", {"document": TEXT})]))
    with pytest.raises(InputError, match=r"bad.jsonl, line 1: text is 7; must be text"):
        load_corpus(config(tmp_path, forget=[jsonl(tmp_path / "bad.jsonl", {"text": 7})]))
    with pytest.raises(InputError, match=r"short.jsonl: no document of more than 10 characters \(data.documents.least"):
        load_corpus(config(tmp_path, forget=[jsonl(tmp_path / "short.jsonl", {"text": "Short one."})]))
    with pytest.raises(InputError, match=r"bad.jsonl, line 1: missing gt; has prompt"):
        load_corpus(config(tmp_path, verbatim=jsonl(tmp_path / "bad.jsonl", {"prompt": "a"})))


def test_settings_that_make_no_sense_are_refused() -> None:
    """Each is refused with its key."""
    with pytest.raises(InputError, match=r"data.corpus=Films: must be one of News, Books"):
        check_ranges(MuseDataConfig(corpus="Films"), "data")
    with pytest.raises(InputError, match=r"data.documents.most_characters=50: must be 51 or more"):
        check_ranges(MuseDataConfig(documents=DocumentsConfig(most_characters=50)), "data")
    for key in ("rows_per_document", "opening_words"):
        with pytest.raises(InputError, match=rf"data.documents.{key}=0: must be 1 or more"):
            check_ranges(MuseDataConfig(documents=DocumentsConfig(**{key: 0})), "data")
