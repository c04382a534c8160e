"""Indirect effects and their intervals, by hand."""

import numpy as np
import pytest

from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.mediation.effects import indirect_effects
from unlearning.mediation.result import COLUMNS, FactTrace, Metric, TraceResult
from unlearning.mediation.states import Site

SUBJECT = (Site("subject", (1, 2)),)


def fact(name: str, person: str, clean: float, corrupted: list[float], restored: list[list[float]]) -> FactTrace:
    """One kind; restored by block and draw. The log-probability is the number, the probability a tenth of it."""

    def both(values: object) -> np.ndarray:
        numbers = np.asarray(values, dtype=float)
        return np.stack([numbers / 10, numbers], axis=-1)

    scores = both(np.asarray(restored)[None, :, None, :])
    return FactTrace(name, person, "birth_date", SUBJECT, both(clean), both(corrupted), scores)


def result_of(*traces: FactTrace, kinds: tuple[ModuleKind, ...] = (ModuleKind.mlp,)) -> TraceResult:
    return TraceResult(kinds, 2, 0.1, tuple(traces), (), 0)


A = fact("a", "one", -1.0, [-5.0, -7.0], [[-3.0, -3.0], [-6.0, -6.0]])
B = fact("b", "two", -2.0, [-4.0, -4.0], [[-4.0, -4.0], [-3.0, -3.0]])


def test_effects_by_hand() -> None:
    effects = indirect_effects(result_of(A, B), Metric.LOG_PROBABILITY)
    # Total: (-1 + 6 + -2 + 4) / 2; block 0: (3 + 0) / 2; block 1: (0 + 1) / 2.
    assert effects.total.mean == pytest.approx(3.5)
    own = effects.of(ModuleKind.mlp)
    assert own.mean == pytest.approx((1.5, 0.5))
    assert own.normalised == pytest.approx((1.5 / 3.5, 0.5 / 3.5))
    # Of two persons drawn with replacement, both alike in a quarter of the draws each.
    assert (own.low, own.high) == (pytest.approx((0.0, 0.0)), pytest.approx((3.0, 1.0)))
    with pytest.raises(KeyError):
        effects.of(ModuleKind.block)


def test_the_other_metric_is_read_from_its_own_column() -> None:
    logs = indirect_effects(result_of(A, B), Metric.LOG_PROBABILITY)
    first = indirect_effects(result_of(A, B), Metric.PROBABILITY)
    assert np.array(first.of(ModuleKind.mlp).mean) * 10 == pytest.approx(logs.of(ModuleKind.mlp).mean)
    assert first.metric is Metric.PROBABILITY


def test_order_of_facts_does_not_matter() -> None:
    assert indirect_effects(result_of(A, B), Metric.PROBABILITY) == indirect_effects(
        result_of(B, A), Metric.PROBABILITY
    )


def test_facts_of_one_person_are_drawn_together() -> None:
    """With one person there is nothing to draw; with the same facts split over persons there is."""
    facts = [fact(str(n), "one", 0.0, [-4.0], [[-4.0 + n], [-4.0]]) for n in range(4)]
    alone = indirect_effects(result_of(*facts), Metric.LOG_PROBABILITY).of(ModuleKind.mlp)
    assert alone.low == alone.high == alone.mean == pytest.approx((1.5, 0.0))
    split = [fact(str(n), str(n), 0.0, [-4.0], [[-4.0 + n], [-4.0]]) for n in range(4)]
    apart = indirect_effects(result_of(*split), Metric.LOG_PROBABILITY).of(ModuleKind.mlp)
    assert apart.low[0] < 1.5 < apart.high[0]
    assert apart.low[1] == apart.high[1] == 0


def test_interval_covers_about_as_often_as_it_says() -> None:
    """Persons of unequal numbers of facts, whose effects share a part of their own."""
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        facts = []
        for person in range(30):
            own = generator.normal(1.0, 1.0)
            for number in range(1 + person % 3):
                effect = own + generator.normal(0.0, 0.3)
                facts.append(fact(f"{person}-{number}", str(person), 0.0, [-9.0], [[-9.0 + effect], [-9.0]]))
        found = indirect_effects(result_of(*facts), Metric.LOG_PROBABILITY).of(ModuleKind.mlp)
        covered += found.low[0] <= 1.0 <= found.high[0]
    assert 178 <= covered <= 198


def test_of_a_grid_the_last_subject_token_counts() -> None:
    sites = (Site("first_subject", (1,)), Site("last_subject", (2,)), Site("last", (3,)))
    scores = np.zeros((1, 2, 3, 1, 2)) - 4.0
    scores[0, 0, 1] = -1.0
    grid = FactTrace("a", "one", "birth_date", sites, np.zeros(2), np.full((1, 2), -4.0), scores)
    assert indirect_effects(result_of(grid), Metric.PROBABILITY).of(ModuleKind.mlp).mean == (3.0, 0.0)
    lines = [dict(zip(COLUMNS, line, strict=True)) for line in result_of(grid).tidy()]
    assert [(line["block"], line["group"], line["position"]) for line in lines[:3]] == [
        (0, "first_subject", 1),
        (0, "last_subject", 2),
        (0, "last", 3),
    ]
    assert len(lines) == 6
    assert (lines[1]["probability"], lines[1]["clean_probability"], lines[1]["corrupted_probability"]) == (-1, 0, -4)


def test_no_share_of_an_effect_that_is_none() -> None:
    harmless = fact("a", "one", -4.0, [-3.0], [[-2.0], [-3.0]])
    assert indirect_effects(result_of(harmless), Metric.PROBABILITY).of(ModuleKind.mlp).normalised is None


def test_no_facts() -> None:
    with pytest.raises(InputError, match="no fact was traced"):
        indirect_effects(result_of(), Metric.PROBABILITY)
