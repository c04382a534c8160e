"""Tests of experiments/facts_needed and experiments/architectures: effects, draws of facts, agreement, shares."""

from pathlib import Path

import numpy as np
import pytest

from experiments.architectures.run import curves, early_share, summary
from experiments.facts_needed.draws import (
    RULES,
    choose,
    disjoint_draws,
    jaccard,
    persons_draw,
    spread_draw,
    statistics,
    wilson,
)
from experiments.facts_needed.effects import Facts, read_facts
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, SelectionRule, TraceMode
from unlearning.mediation.effects import indirect_effects
from unlearning.mediation.effects_table import write_table
from unlearning.mediation.facts import TEMPLATES
from unlearning.mediation.result import METRICS, FactTrace, Metric, TraceResult
from unlearning.mediation.states import Restoration, Site

DEPTH = 4
RESTORATIONS = (
    *(Restoration(kind) for kind in (ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention)),
    *(Restoration(ModuleKind.layer, 1, severed) for severed in (ModuleKind.mlp, ModuleKind.attention)),
)


def world(persons: int, curve: tuple[float, ...], noise: float = 0.0) -> Facts:
    """Return five facts of each person, one of each relation, whose MLP effects are `curve` plus normal noise."""
    relations = list(TEMPLATES) * persons
    names = np.array([f"p{person:02}" for person in range(persons) for _ in TEMPLATES])
    deviations = np.random.default_rng(0).normal(size=(len(relations), len(curve)))
    return Facts(
        ids=np.array([f"{name}-{relation}" for name, relation in zip(names, relations, strict=True)]),
        persons=names,
        relations=np.array(relations),
        total=np.ones(len(relations)),
        effect={"mlp": np.array(curve) + noise * deviations},
        placebo={},
    )


def traced(path: Path, people: range) -> TraceResult:
    """Return a trace of random scores with two corrupted runs of each fact, and write its table to `path`."""
    generator = np.random.default_rng(people.start)
    shape = (len(RESTORATIONS), DEPTH)
    traces = tuple(
        FactTrace(
            fact=f"{person}-{relation}",
            person=f"p{person}",
            relation=relation,
            tokens=("a", "b"),
            sites=(Site("subject", (1,)),),
            clean=generator.normal(size=len(METRICS)),
            corrupted=generator.normal(size=(2, len(METRICS))),
            patched=generator.normal(size=(*shape, 1, 2, len(METRICS))),
            placebo=generator.normal(size=(*shape, 2, len(METRICS))) if person % 2 else None,
        )
        for person in people
        for relation in ("birth_date", "phone_number")
    )
    result = TraceResult(RESTORATIONS, DEPTH, TraceMode.exact, Direction.denoising, 0.0, traces)
    write_table(path, result)
    return result


def test_what_is_read_back_is_what_a_trace_reports(tmp_path: Path) -> None:
    """Means, bands and severed gaps from effects.parquet are equal to those of layers.json, up to rounding."""
    result = traced(tmp_path / "effects.parquet", range(6))
    facts = read_facts(tmp_path / "effects.parquet")
    expected = indirect_effects(result, Metric.ANSWER_LOG_PROBABILITY)
    assert expected is not None
    lines = [line[2:6] for line in curves(facts) if line[0] == "mlp"]
    curve = expected.of(Restoration(ModuleKind.mlp)).effect
    np.testing.assert_allclose(lines, np.transpose([curve.mean, curve.low, curve.high, curve.band_low]), atol=1e-9)
    gaps = [line[2] for line in curves(facts) if line[0] == "layer through mlp"]
    np.testing.assert_allclose(gaps, expected.severed_gaps["mlp"].mean, atol=1e-9)
    placebo = [line[7] for line in curves(facts) if line[0] == "attention"]
    expected_placebo = expected.of(Restoration(ModuleKind.attention)).placebo
    assert expected_placebo is not None
    np.testing.assert_allclose(placebo, expected_placebo.mean, atol=1e-9)
    total = next(line for line in summary(facts) if line[0] == "total")
    np.testing.assert_allclose(total[2:5], [expected.total.mean, expected.total.low, expected.total.high], atol=1e-9)


def test_traces_of_two_splits_are_put_together(tmp_path: Path) -> None:
    """Six facts of three persons and four facts of two persons are joined in the order of their ids."""
    for number, people in enumerate((range(3, 6), range(1, 3))):
        traced(tmp_path / f"{number}.parquet", people)
    facts = read_facts(tmp_path / "0.parquet", tmp_path / "1.parquet")
    assert list(facts.ids) == [
        f"{person}-{relation}" for person in range(1, 6) for relation in ("birth_date", "phone_number")
    ]
    assert facts.effect["mlp"].shape == (10, DEPTH)
    assert np.isnan(facts.placebo["mlp"][facts.persons == "p2"]).all()


def test_shares_by_hand() -> None:
    """The shares are 3 of 3 + 1, because a negative effect counts as 0, and 2 of 2 + 2."""
    assert early_share(np.array([[3.0, -1, 1, 0], [2.0, 0, 1, 1]]), 1).tolist() == [0.75, 0.5]


@pytest.mark.parametrize("size", [5, 10, 20])
def test_few_facts_are_of_as_many_persons(size: int) -> None:
    """Up to 20 facts are of different persons if there are 20 persons, and each relation has equally many facts."""
    draw = spread_draw(world(20, (1, 0)), size, seed=3)
    assert draw is not None
    assert len(set(draw.persons)) == size
    assert {int((draw.relations == relation).sum()) for relation in TEMPLATES} == {size // 5}


def test_another_seed_draws_other_facts_and_none_twice() -> None:
    """A draw has no fact twice, two seeds draw different facts, and a draw of all facts is none."""
    facts = world(4, (1, 0))
    one, two = (spread_draw(facts, 12, seed) for seed in (0, 1))
    assert one is not None
    assert two is not None
    assert len(set(one.ids)) == 12
    assert set(one.ids) != set(two.ids)
    assert spread_draw(facts, 20, 0) is None


def test_persons_are_drawn_whole_and_count_each_time() -> None:
    """Of 2 persons 6 are drawn, which gives 30 facts: six names of five facts each."""
    draw = persons_draw(world(2, (1, 0)), 30, seed=0)
    assert len(draw.ids) == 30
    assert np.unique(draw.persons, return_counts=True)[1].tolist() == [5] * 6
    assert len(set(draw.ids)) == 10


def test_draws_apart_share_no_person() -> None:
    """Ten persons make two halves of five persons and 25 facts; 24 facts can be drawn from each, 25 cannot."""
    facts = world(10, (1, 0))
    pair = disjoint_draws(facts, 24, seed=0)
    assert pair is not None
    assert not {*pair[0].persons} & {*pair[1].persons}
    assert [len(draw.ids) for draw in pair] == [24, 24]
    assert disjoint_draws(facts, 25, seed=0) is None


def test_choices_by_hand() -> None:
    """Every fact has the effects 4, 2, 1, 1, so that nothing varies.

    Above the median (1.5) are layers 0 and 1, and the same have at least 0.5 * 4. The first layers that hold 0.8 of 8
    are 0 to 2, with 7. A quarter of 4 layers is layer 0.
    """
    chosen = {rule: np.flatnonzero(mask).tolist() for rule, mask in choose(world(6, (4, 2, 1, 1))).chosen.items()}
    assert chosen == {
        SelectionRule.confidence: [0, 1],
        SelectionRule.threshold: [0, 1],
        SelectionRule.coverage: [0, 1, 2],
        SelectionRule.top_share: [0],
    }


def test_without_noise_every_draw_chooses_the_same() -> None:
    """All indices are 1; of 30 facts only the smaller sizes are drawn without replacement, and all sizes with it."""
    lines = list(statistics(world(6, (4, 2, 1, 1)), draws=3))
    assert {(line[0], line[1]) for line in lines} == {
        *(("spread", size) for size in (5, 10, 20)),
        *(("persons", size) for size in (5, 10, 20, 50, 100, 200, 500)),
    }
    assert {line[7:9] for line in lines} == {("1.0000", "1.0000")}
    assert len(lines) == 10 * len(RULES)


def test_agreement_grows_with_facts() -> None:
    """If noise is twice the difference of two layers, 5 facts often choose other layers and 500 facts seldom do."""
    lines = list(statistics(world(12, (4, 2, 1, 1), noise=4.0), draws=10))
    own = {line[1]: float(str(line[7])) for line in lines if line[:1] == ("persons",) and line[2] == "top_share"}
    assert own[5] < own[500]


def test_jaccard_and_wilson_by_hand() -> None:
    """The sets {0, 1} and {1, 2} share 1 layer of 3. The interval of half of 4 draws is 0.15 to 0.85.

    With square = 3.8415 / 4 = 0.9604 it is (0.5 + 0.4802 -+ sqrt(0.9604 * (0.25 + 0.2401))) / 1.9604.
    """
    one, two = np.array([True, True, False]), np.array([False, True, True])
    assert jaccard(one, two) == pytest.approx(1 / 3)
    assert jaccard(one & two & ~one, one & ~one) == 1.0
    assert wilson(0.5, 4) == pytest.approx((0.15, 0.85), abs=5e-4)
