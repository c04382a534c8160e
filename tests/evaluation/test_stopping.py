"""The stopping rule: it stops only where no continuation changes the score."""

import random

import pytest

from unlearning.data.rows import Kind, Row, Split
from unlearning.evaluation.semeval import row_score
from unlearning.evaluation.stopping import answer_missed, completion_covered
from unlearning.evaluation.text import through_csv


@pytest.mark.parametrize(
    ("stable", "answer", "missed"),
    [
        ("", "Madera", False),
        ("  \n", "Madera", False),
        (" mad", "Madera", False),
        ("Madera", "Madera", False),
        ("Madera \n", "Madera", False),
        ("Madera.", "Madera", True),
        ("Madrid", "Madera", True),
        ("New ", "New York", False),
        ("Newark", "New York", True),
        ("ΣΟΦΟΣ", "σοφοσίτης", False),
        ("ΣΟΦΟΣ", "σοφος", False),
        # "NA" and an empty text are both read back as "nan", so even this may still match
        ("Mad", "NA", False),
        ("Mad", "", False),
        ("Mad", "NAN", False),
    ],
)
def test_answer_missed(stable: str, answer: str, missed: bool) -> None:
    """An answer is missed once the stable text differs from it."""
    assert answer_missed(stable, answer) is missed


def test_a_missed_answer_never_matches() -> None:
    """No continuation of a missed answer is an exact match, on random texts."""
    rng = random.Random(0)
    pieces = ["a", "A", "Σ", "ς", "σ", " ", "\n", "n", "NA", "null", "\u0130"]
    for _ in range(20000):
        stable, more, answer = ("".join(rng.choices(pieces, k=rng.randrange(4))) for _ in range(3))
        if answer_missed(stable, answer):
            assert row_score(Kind.QUESTION, answer, stable + more) == 0


@pytest.mark.parametrize(
    ("stable", "covered"),
    [
        ("in the old town ", True),
        ("in the old town", False),
        ("in the very old, old town.", True),
        ("in the town old ", False),
        ("", False),
    ],
)
def test_completion_covered(stable: str, covered: bool) -> None:
    """A completion is covered once its finished words contain all target words in order."""
    assert completion_covered(stable, ["in", "the", "old", "town"]) is covered


def test_a_target_without_words_is_never_covered() -> None:
    """Without target words the recall is 0, so nothing is covered."""
    assert not completion_covered("any text that is long enough ", [])


def test_a_covered_completion_keeps_its_score() -> None:
    """No continuation of a covered completion changes its recall of 1, on random texts."""
    rng = random.Random(1)
    pieces = ["a", "b", "cat", "cats", " ", " ", ".", "N/A", "hed"]
    for _ in range(20000):
        stable, more = ("".join(rng.choices(pieces, k=rng.randrange(1, 9))) for _ in range(2))
        expected = " ".join(rng.choices(["a", "b", "cat"], k=2))
        row = Row("1sc1", "", expected, "Task1", Kind.COMPLETION, Split.FORGET)
        if completion_covered(stable, through_csv(row.output).split()):
            assert row_score(row.kind, expected, stable + more) == row_score(row.kind, expected, stable) == 1
