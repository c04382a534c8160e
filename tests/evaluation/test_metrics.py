"""What the descriptions of metrics say."""

import math

import pytest

from unlearning.evaluation.metrics import _ALL, Better, describe, is_described


@pytest.mark.parametrize("key", _ALL)
def test_a_description_is_whole(key: str) -> None:
    """Every metric has a name, a meaning without its direction, and a range with its best value in it."""
    found = describe(key)
    assert found.name
    assert found.meaning
    assert "is best" not in found.meaning
    assert " is better" not in found.meaning
    assert found.lowest < found.highest
    assert (found.best is not None) == (found.better is Better.BETWEEN)
    assert found.best is None or found.lowest <= found.best <= found.highest
    assert is_described(key)


@pytest.mark.parametrize(
    ("key", "better", "ends"),
    [
        ("forget_Task2_knowledge", Better.LOWER, (0.0, 1.0)),
        ("retain_Task1_regurgitation", Better.HIGHER, (0.0, 1.0)),
        ("retain_new", Better.HIGHER, (-math.inf, math.inf)),
        ("speed", None, (-math.inf, math.inf)),
    ],
)
def test_patterns(key: str, better: Better | None, ends: tuple[float, float]) -> None:
    """Keys that are not listed are read by their pattern."""
    found = describe(key)
    assert (found.better, (found.lowest, found.highest)) == (better, ends)
    assert not is_described(key)


def test_arrows_and_sentences() -> None:
    """An arrow points to the better end; a sentence says what is best."""
    assert [describe(key).arrow for key in ("final", "forget_knowledge", "mia_auc", "speed")] == ["↑", "↓", "", ""]
    assert describe("task_aggregate").sentence == "harmonic mean of the 12 terms; higher is better"
    assert describe("mia_auc").sentence.endswith("; 0.5 is best")
    assert describe("forget_Task2_knowledge").meaning == "mean exact match over forget questions of Task2"
