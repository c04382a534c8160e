"""Every warning is given where it is due, and nowhere else."""

from dataclasses import replace

import numpy as np

from tests.mediation.fabricated import ATTENTION, MLP, fact_trace, persons_of, result_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import SelectionRule, TraceConfig
from unlearning.mediation.selection import select
from unlearning.mediation.states import Restoration

BOTH = [ModuleKind.mlp, ModuleKind.attention]
CONFIG = TraceConfig(kinds=BOTH, rule=SelectionRule.top_share, value=0.25)
PEAK, FLAT = [5.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]
WIDE = Restoration(ModuleKind.mlp, 3)


def jitter(persons: int, *shape: int, spread: float = 0.2) -> np.ndarray:
    return np.random.default_rng(1).normal(0, spread, size=(persons, *shape))


def test_nothing_to_warn_of() -> None:
    result = persons_of(np.array([PEAK, FLAT]) + jitter(10, 2, 4), restorations=(MLP, ATTENTION))
    assert select(result, CONFIG, None).warnings == ()


def test_few_persons() -> None:
    values = np.array(PEAK) + jitter(9, 4)
    assert select(persons_of(values), CONFIG, None).warnings == (
        "9 persons traced: with fewer than 10, intervals are too narrow",
    )


def test_an_unstable_choice() -> None:
    warnings = select(persons_of(1.0 + jitter(12, 8)), CONFIG, None).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("stability 0.")
    assert warnings[0].endswith("below 0.6: other persons may give others; raise trace.facts")


def test_no_layer_stands_out() -> None:
    values = np.array([1.0, 1.2, 1.0, 1.0]) + jitter(12, 4, spread=3.0)
    config = replace(CONFIG, rule=SelectionRule.confidence, value=0.9)
    warnings = select(persons_of(values), config, None).warnings
    assert (
        "no layer is above the median layer with confidence 0.9: the 0.25 of the depth with the "
        "largest effects was taken"
    ) in warnings


def test_a_corruption_that_costs_nothing() -> None:
    costs = np.tile([1.2, -1.0], 6)
    traces = [fact_trace(f"{n:02}", f"{n:02}", cost, [0.0], [[[[4.0]], [[1.0]]]]) for n, cost in enumerate(costs)]
    (warning,) = select(result_of(*traces), CONFIG, None).warnings
    assert warning.startswith("total effect 0.1 nats, 95% interval -0.")
    assert warning.endswith(": the corruption may cost nothing, and then there is nothing to locate")


def test_single_modules_choose_otherwise() -> None:
    values = np.array([[1.0, 1.0, 5.0, 1.0], [1.0, 5.0, 1.0, 1.0]]) + jitter(12, 2, 4)
    (warning,) = select(persons_of(values, restorations=(MLP, WIDE)), replace(CONFIG, window=3), None).warnings
    assert warning == "window 3: by the effects of single modules the layers would be 2"
    same = values[:, [1, 1]]
    assert select(persons_of(same, restorations=(MLP, WIDE)), replace(CONFIG, window=3), None).warnings == ()
    none = values * [[-1.0], [1.0]]
    (warning,) = select(persons_of(none, restorations=(MLP, WIDE)), replace(CONFIG, window=3), None).warnings
    assert warning.endswith("would be none")


def test_the_other_kind_matters_as_much() -> None:
    """Facts differ much, but in both kinds alike, so that a difference of 1 between the kinds is clear."""
    level = jitter(12, 1, 1, spread=3.0) + np.array([6.0, 1.0, 1.0, 1.0])
    for gap, advice in ((0.05, "train both"), (-0.02, "train both"), (-1.0, "train both, or attention alone")):
        values = level + np.array([[gap], [0.0]]) + jitter(12, 2, 4, spread=0.1)
        (warning,) = select(persons_of(values, restorations=(MLP, ATTENTION)), CONFIG, None).warnings
        assert warning.startswith("mlp minus attention in the chosen layers: ")
        assert warning.endswith(f": {advice}")
    values = level + np.array([[1.0], [0.0]]) + jitter(12, 2, 4, spread=0.1)
    assert select(persons_of(values, restorations=(MLP, ATTENTION)), CONFIG, None).warnings == ()


def test_the_other_kind_must_have_been_traced_in_the_same_way() -> None:
    """A window of one kind cannot be compared with single modules of the other."""
    values = np.array([PEAK] * 3) + jitter(12, 3, 4)
    result = persons_of(values, restorations=(MLP, ATTENTION, WIDE))
    assert select(result, replace(CONFIG, window=3), None).warnings == ()
    assert len(select(result, CONFIG, None).warnings) == 1
