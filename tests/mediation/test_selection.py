"""The choice of layers from a result, and how sure it is."""

from dataclasses import replace

import numpy as np
import pytest

from tests.mediation.fabricated import ATTENTION, LAYER, MLP, fact_trace, persons_of, plain, result_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.effects import indirect_effects
from unlearning.mediation.result import METRICS, LayerGradients, Metric, TraceResult
from unlearning.mediation.selection import select
from unlearning.mediation.states import Restoration

GRADIENTS = LayerGradients(gradient=(4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0), fisher=(0.0,) * 7 + (1.0,))


def config_of(rule: SelectionRule, value: float = 0.25, **changes: object) -> TraceConfig:
    return replace(TraceConfig(kinds=[ModuleKind.mlp], rule=rule, value=value), **changes)


def planted(persons: int = 20, height: float = 3.0) -> TraceResult:
    """Return a result of eight layers with effects 1 +- 0.5, in which layer 2 is larger by `height`."""
    peak = np.where(np.arange(8) == 2, height, 0.0)
    return persons_of(1.0 + peak + np.random.default_rng(0).normal(0, 0.5, size=(persons, 8)))


def test_selection_reads_the_whole_answer() -> None:
    """Layer 1 has more effect on the first token's probability, and layer 0 on the whole answer."""
    first = fact_trace("a", "one", 0.0, [-9.0], [[[[-3.0]], [[-6.0]]]])
    first.patched[0, :, 0, 0, 0] = [-0.9, 0.0]
    selection = select(result_of(first), config_of(SelectionRule.top_share, 0.5), None)
    assert selection.effects[0].of(MLP).effect.mean == pytest.approx((0.0, 0.9))
    assert selection.layers == selection.layers_window_1 == (0,)
    assert selection.metric is Metric.ANSWER_LOG_PROBABILITY
    assert (selection.window, selection.module, selection.layers_total) == (1, ModuleKind.mlp, 2)
    assert selection.share_of_depth == 0.5


def test_effects_of_every_metric_that_has_numbers() -> None:
    result = result_of(*(fact_trace(name, name, 0.0, [-9.0], [[[[-3.0]], [[-6.0]]]], foil=False) for name in "ab"))
    selection = select(result, config_of(SelectionRule.top_share), None)
    expected = [metric for metric in METRICS if metric is not Metric.LOGIT_DIFFERENCE]
    assert selection.effects == tuple(indirect_effects(result, metric) for metric in expected)


def test_a_planted_peak_by_default() -> None:
    selection = select(planted(), TraceConfig(), None)
    assert (selection.rule, selection.value, selection.layers) == (SelectionRule.confidence, 0.95, (2,))
    assert selection.inclusion[2] == selection.stability == 1.0
    assert max(selection.inclusion[:2] + selection.inclusion[3:]) < 0.3
    assert selection.warnings == ()


def test_the_placebo_speaks_against_a_layer() -> None:
    """Layer 1 has the largest effect, but another person's state has it too."""
    traces = [
        plain(
            f"{n}",
            f"{n}",
            [[1.0] * 4, [5.0 + n % 3, 6.0 + n % 3, 1.0, 1.0]],
            placebo=[[0.0] * 4, [1.0, 6.0 + n % 2 * 2, 1.0, 1.0]],
        )
        for n in range(12)
    ]
    for placebo, expected in ((True, (0,)), (False, (0, 1))):
        own = traces if placebo else [replace(trace, placebo=None) for trace in traces]
        assert select(result_of(*own, restorations=(LAYER, MLP)), TraceConfig(), None).layers == expected


@pytest.mark.parametrize("rule", [SelectionRule.threshold, SelectionRule.coverage, SelectionRule.top_share])
def test_inclusion_by_hand(rule: SelectionRule) -> None:
    """One of two persons is drawn: half of the time the one who needs layer 0, otherwise the one who needs layer 1."""
    result = result_of(plain("a", "one", [3.0, 0.0, 0.0, 0.0]), plain("b", "two", [0.0, 2.0, 0.0, 0.0]))
    selection = select(result, config_of(rule, 0.6 if rule is SelectionRule.coverage else 0.25), None)
    if rule is SelectionRule.threshold:
        assert selection.layers == (0, 1)
        assert selection.stability == 0.5
    else:
        assert selection.layers == (0,)
        assert selection.stability in (0.0, 0.5, 1.0), "half of the resamples agree, half do not"
    assert selection.inclusion[0] + selection.inclusion[1] == pytest.approx(1.0)
    assert selection.inclusion[0] == pytest.approx(0.5, abs=0.05)
    assert selection.inclusion[2:] == (0.0, 0.0)


def test_stability_falls_where_layers_are_alike() -> None:
    config = config_of(SelectionRule.threshold, 0.7)
    found = [select(planted(height=height), config, None).stability for height in (3.0, 0.0)]
    assert found[0] == 1.0
    assert found[1] < 1.0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SelectionRule.first, (0, 1)),
        (SelectionRule.middle, (3, 4)),
        (SelectionRule.last, (6, 7)),
        (SelectionRule.gradient, (0, 1)),
        (SelectionRule.fisher, (0, 7)),
    ],
)
def test_rules_that_read_no_effects(rule: SelectionRule, expected: tuple[int, ...]) -> None:
    harmful = persons_of(-np.ones((12, 8)))
    selection = select(harmful, config_of(rule), GRADIENTS)
    assert selection.layers == selection.layers_window_1 == expected
    assert selection.inclusion == tuple(float(layer in expected) for layer in range(8))
    assert selection.stability == 1.0


def test_random_follows_the_seed() -> None:
    chosen = [select(planted(), config_of(SelectionRule.random, seed=seed), None).layers for seed in (0, 0, 1, 2, 3)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 1


def test_baselines_are_as_large_as_the_choice() -> None:
    config = config_of(SelectionRule.top_share, 0.375)
    without = select(planted(), config, None).baselines
    assert list(without) == ["random", "first", "middle", "last"]
    assert (without["first"], without["middle"], without["last"]) == ((0, 1, 2), (2, 3, 4), (5, 6, 7))
    assert len(set(without["random"])) == 3
    with_gradients = select(planted(), config, GRADIENTS).baselines
    assert with_gradients == {**without, "gradient": (0, 1, 2), "fisher": (0, 1, 7)}


def test_a_window_decides_where_there_is_one() -> None:
    wide = Restoration(ModuleKind.mlp, 3)
    result = persons_of(
        [[[0.0, 0.0, 5.0, 0.0], [0.0, 5.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]]] * 3, restorations=(MLP, wide, LAYER)
    )
    selection = select(result, config_of(SelectionRule.top_share, window=3), None)
    assert (selection.layers, selection.layers_window_1, selection.window) == ((1,), (2,), 3)
    whole = config_of(SelectionRule.top_share, window=3, select=ModuleKind.layer, kinds=[ModuleKind.layer])
    assert select(result, whole, None).layers == (0,)
    assert select(result, whole, None).window == 1, "the output of a layer is patched alone"


def test_single_modules_may_have_no_effect() -> None:
    wide = Restoration(ModuleKind.mlp, 2)
    result = persons_of([[[-1.0, -1.0], [0.0, 5.0]]] * 3, restorations=(MLP, wide))
    assert select(result, config_of(SelectionRule.top_share, window=2), None).layers_window_1 == ()


@pytest.mark.parametrize("rule", ["confidence", "threshold", "coverage", "top_share"])
def test_no_effect_is_an_error(rule: str) -> None:
    with pytest.raises(InputError, match=rf"trace.rule={rule}: no layer's mlp has a positive effect; choose"):
        select(persons_of([[0.0, -1.0]] * 3), config_of(SelectionRule(rule)), None)


def test_no_facts_and_no_gradients() -> None:
    with pytest.raises(InputError, match="no fact was traced"):
        select(result_of(), TraceConfig(), None)
    with pytest.raises(InputError, match=r"trace\.rule=fisher: there are no gradients"):
        select(planted(), config_of(SelectionRule.fisher), None)


def test_other_kinds_do_not_decide() -> None:
    result = persons_of([[[5.0, 1.0], [0.0, 9.0]]] * 3, restorations=(MLP, ATTENTION))
    both = [ModuleKind.mlp, ModuleKind.attention]
    for kind, expected in zip(both, [(0,), (1,)], strict=True):
        config = config_of(SelectionRule.top_share, kinds=both, select=kind)
        assert select(result, config, None).layers == expected
