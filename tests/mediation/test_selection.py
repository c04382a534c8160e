"""Selection rules, by hand."""

import pytest

from tests.mediation.test_effects import A, B, result_of
from unlearning.config import ModuleKind, SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.result import Metric
from unlearning.mediation.selection import choose, select

EFFECTS = [0.5, 4.0, -1.0, 3.0, 2.0, 0.5, 0.0, -3.0]
"""The positive ones sum to 10."""


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (SelectionRule.threshold, 1.0, (1,)),
        (SelectionRule.threshold, 0.5, (1, 3, 4)),
        (SelectionRule.threshold, 0.1, (0, 1, 3, 4, 5)),
        (SelectionRule.coverage, 0.4, (1,)),
        (SelectionRule.coverage, 0.5, (3, 4)),
        (SelectionRule.coverage, 0.6, (1, 2, 3)),
        (SelectionRule.coverage, 0.9, (1, 2, 3, 4)),
        (SelectionRule.coverage, 1.0, (0, 1, 2, 3, 4, 5)),
        (SelectionRule.top_share, 0.25, (1, 3)),
        (SelectionRule.top_share, 0.5, (0, 1, 3, 4)),
        (SelectionRule.top_share, 0.01, (1,)),
        (SelectionRule.top_share, 1.0, (0, 1, 2, 3, 4, 5, 6, 7)),
        (SelectionRule.first, 0.25, (0, 1)),
        (SelectionRule.first, 0.3125, (0, 1, 2)),
        (SelectionRule.last, 0.25, (6, 7)),
        (SelectionRule.last, 0.01, (7,)),
    ],
)
def test_rules(rule: SelectionRule, value: float, expected: tuple[int, ...]) -> None:
    assert choose(EFFECTS, TraceConfig(rule=rule, value=value)) == expected


def test_coverage_takes_the_larger_of_two_short_ranges_and_else_the_lower() -> None:
    assert choose([3.0, 0.0, 4.0], TraceConfig(rule=SelectionRule.coverage, value=0.4)) == (2,)
    assert choose([3.0, 0.0, 3.0], TraceConfig(rule=SelectionRule.coverage, value=0.5)) == (0,)


def test_coverage_of_all_is_safe_from_rounding() -> None:
    assert choose([0.1] * 10, TraceConfig(rule=SelectionRule.coverage, value=1.0)) == tuple(range(10))


def test_random_depends_on_the_seed_alone() -> None:
    def drawn(seed: int, effects: list[float]) -> tuple[int, ...]:
        return choose(effects, TraceConfig(rule=SelectionRule.random, value=0.5, seed=seed))

    assert drawn(0, EFFECTS) == drawn(0, [0.0] * 8)
    assert len({drawn(seed, EFFECTS) for seed in range(20)}) > 10
    for seed in range(20):
        assert list(drawn(seed, EFFECTS)) == sorted(set(drawn(seed, EFFECTS)))
        assert len(drawn(seed, EFFECTS)) == 4


@pytest.mark.parametrize("rule", [SelectionRule.threshold, SelectionRule.coverage, SelectionRule.top_share])
def test_no_effect_is_an_error(rule: SelectionRule) -> None:
    with pytest.raises(InputError, match=rf"trace.rule={rule}: no block's mlp has a positive effect; raise"):
        choose([0.0, -1.0], TraceConfig(rule=rule))


@pytest.mark.parametrize("rule", [SelectionRule.first, SelectionRule.last, SelectionRule.random])
def test_baselines_need_no_effect(rule: SelectionRule) -> None:
    assert len(choose([0.0, -1.0], TraceConfig(rule=rule, value=0.5))) == 1


def test_selection_reads_the_whole_answer() -> None:
    config = TraceConfig(kinds=[ModuleKind.mlp], rule=SelectionRule.top_share, value=0.5, window=3)
    selection = select(result_of(A, B), config)
    assert selection.blocks == (0,)
    assert selection.metric is Metric.LOG_PROBABILITY
    assert selection.share_of_depth == 0.5
    assert (selection.window, selection.module, selection.blocks_total) == (3, ModuleKind.mlp, 2)
    assert [effects.metric for effects in selection.effects] == list(Metric)
