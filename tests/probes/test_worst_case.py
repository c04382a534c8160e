"""The worst case over probes, by hand."""

from unlearning.config.probe import Measured
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.primed import Primed
from unlearning.probes.probe import Measurement, RowScore
from unlearning.probes.questions import Questions
from unlearning.probes.table import ModelRole
from unlearning.probes.worst_case import WorstCase

TARGET, UNLEARNED = ModelRole.target, ModelRole.unlearned
ASKED = Questions(["{question}"], False)
PROBES = {
    "unprobed": ASKED,
    "primed": Primed("Well,", 0, Measured.knowledge),
    "chosen": ASKED,
    "adapter": AdapterRemoved(Measured.knowledge),
    "half": ASKED,
}


def found(scores: dict[str, float], chance: float = 0.0) -> Measurement:
    """Return the scores of rows, by their names; the first letter is the document."""
    return Measurement([RowScore(name, name[0], score, "an answer") for name, score in scores.items()], chance)


def test_each_row_has_its_worst_probe() -> None:
    """Row a1 is known plainly, a2 comes back when primed, b1 half, b2 never; c1 is asked by one probe alone.

    What has a chance does not count, nor the removed adapter, nor a probe that one of the models was not put to.
    """
    all_right = found({"a1": 1.0, "a2": 1.0, "b1": 1.0, "b2": 1.0, "c1": 1.0})
    measured = {
        "unprobed": {TARGET: all_right, UNLEARNED: found({"a1": 1.0, "a2": 0.0, "b1": 0.25, "b2": 0.0})},
        "primed": {TARGET: all_right, UNLEARNED: found({"a1": 1.0, "a2": 1.0, "b1": 0.5, "b2": 0.0, "c1": 0.75})},
        "chosen": {TARGET: found({"b2": 1.0}, 0.25), UNLEARNED: found({"b2": 1.0}, 0.25)},
        "adapter": {TARGET: all_right, UNLEARNED: all_right},
        "half": {UNLEARNED: all_right},
    }
    worst = WorstCase(PROBES).measurements(measured, frozenset({TARGET, UNLEARNED}))
    assert worst[UNLEARNED].items == [
        RowScore("a1", "a", 1.0, "unprobed"),
        RowScore("a2", "a", 1.0, "primed"),
        RowScore("b1", "b", 0.5, "primed"),
        RowScore("b2", "b", 0.0, "unprobed"),
        RowScore("c1", "c", 0.75, "primed"),
    ]
    assert worst[UNLEARNED].notes == [
        "the unlearned model's rows by the probe that brings back most: unprobed 1, primed 3, none 1"
    ]
    assert {item.score for item in worst[TARGET].items} == {1.0}


def test_without_a_probe_that_counts_there_is_no_worst_case() -> None:
    """All have a chance."""
    assert WorstCase(PROBES).measurements({"chosen": {TARGET: found({"a1": 1.0}, 0.5)}}, frozenset({TARGET})) == {}
