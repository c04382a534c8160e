"""Ids of the official rows, and ids that only look like them."""

import pytest

from unlearning.data.ids import document_id, kind_of, suffix_kind, task_of
from unlearning.data.rows import Kind

UUID = "2ebbbb06-ab81-4bdf-af75-0157c7178a82"

CASES = [
    (f'"{UUID}"sc1', Kind.COMPLETION, UUID, "Task1"),
    (f'"{UUID}"qa0', Kind.QUESTION, UUID, "Task1"),
    (f"{UUID}sc1", Kind.COMPLETION, UUID, "Task2"),
    (f"{UUID}qa4", Kind.QUESTION, UUID, "Task2"),
    ("64187247qa0", Kind.QUESTION, "64187247", "Task3"),
    ("story7qa0", Kind.QUESTION, "story7", None),
    ("64187247qa10", None, "64187247qa10", None),
    ("64187247", None, "64187247", None),
    ("64187247SC1", None, "64187247SC1", None),
    ("sc", None, "sc", None),
    ("", None, "", None),
]


@pytest.mark.parametrize(("row_id", "kind", "document", "task"), CASES, ids=[repr(case[0]) for case in CASES])
def test_what_an_id_tells(row_id: str, kind: Kind | None, document: str, task: str | None) -> None:
    assert (kind_of(row_id), document_id(row_id), task_of(row_id)) == (kind, document, task)


@pytest.mark.parametrize("row_id", [case[0] for case in CASES])
def test_a_suffix_tells_the_same_kind(row_id: str) -> None:
    """For all ids of the official form."""
    assert suffix_kind(row_id) == kind_of(row_id)


@pytest.mark.parametrize("row_id", ["misc0", "misc1", "disc0", "aqa3", "Ärzteqa0", "row-qab"])
def test_the_end_of_a_word_is_no_suffix(row_id: str) -> None:
    """The official evaluator would take misc0 for the completion of document mi; of one's own rows it is a whole id."""
    assert kind_of(row_id) is not None
    assert suffix_kind(row_id) is None
    assert document_id(row_id) == row_id


@pytest.mark.parametrize("row_id", [case[0] for case in CASES])
def test_kind_is_the_official_evaluators(row_id: str) -> None:
    told = kind_of(row_id)
    assert (told is Kind.COMPLETION) == row_id[:-1].endswith("sc")
    assert (told is Kind.QUESTION) == row_id[:-1].endswith("qa")
