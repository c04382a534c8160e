"""Indirect effects by hand, and what their intervals must and must not depend on."""

import random

import numpy as np
import pytest

from tests.mediation.fabricated import LAYER, MLP, SUBJECT, fact_trace, persons_of, plain, result_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction
from unlearning.mediation.effects import Effects, indirect_effects
from unlearning.mediation.fact_effects import noise_share
from unlearning.mediation.result import METRICS, Metric, TraceResult
from unlearning.mediation.states import Restoration, Site

ANSWER = Metric.ANSWER_LOG_PROBABILITY
SEVERED = Restoration(ModuleKind.layer, severed=ModuleKind.mlp)
# The axes are restoration, layer, site and draw.
A = fact_trace("a", "one", -1.0, [-5.0, -7.0], [[[[-3.0, -3.0]], [[-6.0, -6.0]]]])
B = fact_trace("b", "two", -2.0, [-4.0, -4.0], [[[[-4.0, -4.0]], [[-3.0, -3.0]]]])


def effects_of(result: TraceResult, metric: Metric = ANSWER) -> Effects:
    effects = indirect_effects(result, metric)
    assert effects
    return effects


def test_effects_by_hand() -> None:
    effects = effects_of(result_of(A, B))
    # Total: (-1 + 6 + -2 + 4) / 2; layer 0: (3 + 0) / 2; layer 1: (0 + 1) / 2.
    assert (effects.metric, effects.facts) == (ANSWER, 2)
    assert effects.total.mean == pytest.approx(3.5)
    own = effects.of(MLP)
    assert own.effect.mean == pytest.approx((1.5, 0.5))
    assert own.normalised == pytest.approx((1.5 / 3.5, 0.5 / 3.5))
    # Each resample draws one of the two persons.
    assert (own.effect.low, own.effect.high) == (pytest.approx((0.0, 0.0)), pytest.approx((3.0, 1.0)))
    assert (effects.total.low, effects.total.high) == (pytest.approx(2.0), pytest.approx(5.0))
    # Fact a has 3 less at layer 1 than at layer 0, fact b has 1 more.
    assert own.below_peak.mean == pytest.approx((0.0, 1.0))
    assert (own.below_peak.low, own.below_peak.high) == ((0.0, pytest.approx(-1.0)), (0.0, pytest.approx(3.0)))
    assert (own.placebo, own.above_placebo, effects.severed_gaps) == (None, None, {})
    with pytest.raises(KeyError):
        effects.of(LAYER)


def test_noising_measures_what_is_lost() -> None:
    """Noising puts corrupted states into the clean run: clean - patched."""
    effects = effects_of(result_of(A, B, direction=Direction.noising))
    # Layer 0: (-1 + 3 + -2 + 4) / 2; layer 1: (-1 + 6 + -2 + 3) / 2.
    assert effects.of(MLP).effect.mean == pytest.approx((2.0, 3.0))
    assert effects.total.mean == pytest.approx(3.5)


def test_every_metric_is_read_from_its_own_column() -> None:
    found = [effects_of(result_of(A, B), metric) for metric in METRICS]
    assert [effects.metric for effects in found] == list(METRICS)
    assert [effects.of(MLP).effect.mean for effects in found] == [
        pytest.approx((1.5 * scale, 0.5 * scale)) for scale in (0.1, 0.5, 2.0, 1.0)
    ]


def test_facts_without_a_foil_have_no_logit_difference() -> None:
    alone = fact_trace("c", "three", 0.0, [-9.0], [[[[-1.0]], [[-1.0]]]], foil=False)
    effects = effects_of(result_of(A, B, alone), Metric.LOGIT_DIFFERENCE)
    assert effects == effects_of(result_of(A, B), Metric.LOGIT_DIFFERENCE)
    assert effects.facts == 2
    assert effects_of(result_of(A, B, alone)).facts == 3
    assert indirect_effects(result_of(alone), Metric.LOGIT_DIFFERENCE) is None
    assert indirect_effects(result_of(), ANSWER) is None


def test_relations_weigh_the_same() -> None:
    """Three facts are of one relation and one is of another."""
    traces = [plain(str(number), str(number), [float(number), 0.0], "phone_number") for number in range(3)]
    effects = effects_of(result_of(*traces, plain("9", "9", [7.0, 2.0], "email_address")))
    own = effects.of(MLP)
    assert own.effect.mean == pytest.approx((4.0, 1.0))
    assert own.by_relation == {"email_address": (7.0, 2.0), "phone_number": (1.0, 0.0)}
    assert effects.total_by_relation == {"email_address": 9.0, "phone_number": 9.0}


def test_placebo_by_hand() -> None:
    """A fact without a placebo counts for the effect, but not for the difference from the placebo."""
    traces = (
        plain("a", "one", [4.0, 1.0], placebo=[1.0, 1.0]),
        plain("b", "two", [2.0, 1.0], placebo=[2.0, 3.0]),
        plain("c", "three", [9.0, 1.0]),
    )
    own = effects_of(result_of(*traces)).of(MLP)
    assert own.effect.mean == pytest.approx((5.0, 1.0))
    assert own.placebo.mean == pytest.approx((1.5, 2.0))
    assert own.above_placebo.mean == pytest.approx((1.5, -1.0))
    assert (own.above_placebo.low[0], own.above_placebo.high[0]) == (pytest.approx(0.0), pytest.approx(3.0))


def test_token_groups_of_a_grid() -> None:
    """Two middle tokens give one value of their fact; a fact that lacks a group is left out of that group."""
    groups = ("first_subject", "middle_subject", "middle_subject", "last_subject")
    long = tuple(Site(group, (position,)) for position, group in enumerate(groups))
    short = (Site("first_subject", (0,)), Site("last_subject", (1,)))
    traces = (
        fact_trace("a", "one", 0.0, [-9.0], [[[[-8.0], [-7.0], [-5.0], [-3.0]]]], sites=long),
        fact_trace("b", "two", 0.0, [-9.0], [[[[-6.0], [-1.0]]]], sites=short),
    )
    own = effects_of(result_of(*traces)).of(MLP)
    assert own.effect.mean == pytest.approx((7.0,)), "the last token of the subject counts"
    assert {group: curve.mean for group, curve in own.by_group.items()} == {
        "first_subject": pytest.approx((2.0,)),
        "middle_subject": pytest.approx((3.0,)),
        "last_subject": pytest.approx((7.0,)),
    }
    assert own.by_group["middle_subject"].low == own.by_group["middle_subject"].high


def test_what_travels_through_a_severed_path() -> None:
    traces = [
        plain("a", "one", [[1.0, 1.0], [5.0, 4.0], [2.0, 3.0]]),
        plain("b", "two", [[1.0, 1.0], [7.0, 4.0], [0.0, 5.0]]),
    ]
    effects = effects_of(result_of(*traces, restorations=(MLP, LAYER, SEVERED)))
    gap = effects.severed_gaps["mlp"]
    assert list(effects.severed_gaps) == ["mlp"]
    assert gap.mean == pytest.approx((5.0, 0.0))
    assert (gap.low, gap.high) == (pytest.approx((3.0, -1.0)), pytest.approx((7.0, 1.0)))


def test_order_of_facts_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    traces = [
        plain(
            f"{n}", f"person {n % 7}", generator.normal(size=(2, 4)), f"relation {n % 3}", generator.normal(size=(2, 4))
        )
        for n in range(20)
    ]
    expected = effects_of(result_of(*traces, restorations=(LAYER, SEVERED)))
    random.Random(0).shuffle(traces)
    assert effects_of(result_of(*traces, restorations=(LAYER, SEVERED))) == expected


def test_facts_of_one_person_are_drawn_together() -> None:
    """One person leaves nothing to draw; the same facts of two persons do."""
    alone = [plain(str(n), "one", [float(n), 0.0]) for n in range(4)]
    curve = effects_of(result_of(*alone)).of(MLP).effect
    for bound in (curve.low, curve.high, curve.band_low, curve.band_high):
        assert bound == pytest.approx((1.5, 0.0))
    split = [plain(str(n), str(n), [float(n), 0.0]) for n in range(4)]
    apart = effects_of(result_of(*split)).of(MLP).effect
    assert apart.band_low[0] < apart.low[0] < 1.5 < apart.high[0] < apart.band_high[0]
    assert apart.low[1] == apart.high[1] == 0


def test_paired_contrasts_are_narrower() -> None:
    """The facts differ much, but in all layers alike, so the differences between layers are the same in all facts."""
    generator = np.random.default_rng(0)
    level = generator.normal(0, 5, size=(40, 1))
    effects, placebos = (level + generator.normal([2.0, 1.0], 0.2, size=(40, 2)) for _ in range(2))
    traces = [
        plain(str(n), str(n), own, placebo=other - 1)
        for n, (own, other) in enumerate(zip(effects, placebos, strict=True))
    ]
    own = effects_of(result_of(*traces)).of(MLP)
    width = own.effect.high[0] - own.effect.low[0]
    assert own.effect.low[0] < own.effect.high[1], "side by side, the layers cannot be told apart"
    for contrast, layer in ((own.below_peak, 1), (own.above_placebo, 0)):
        assert contrast.low[layer] > 0
        assert contrast.high[layer] - contrast.low[layer] < 0.1 * width
        assert contrast.band_high[layer] - contrast.band_low[layer] < 0.1 * width


def test_no_share_of_an_effect_that_is_none() -> None:
    harmless = fact_trace("a", "one", -4.0, [-3.0], [[[[-2.0]], [[-3.0]]]])
    assert effects_of(result_of(harmless)).of(MLP).normalised is None


def test_noise_share_by_hand() -> None:
    """Layer 1 is the peak: the facts' variances over draws are 2 and 8, their means 4 and 10."""
    traces = [
        fact_trace("a", "one", 0.0, [-9.0, -9.0], [[[[-9.0, -9.0]], [[-6.0, -4.0]]]]),
        fact_trace("b", "two", 0.0, [-9.0, -9.0], [[[[-9.0, -1.0]], [[-1.0, 3.0]]]]),
    ]
    assert noise_share(result_of(*traces), ANSWER, MLP) == pytest.approx((2 + 8) / 2 / 2 / 18)
    assert noise_share(result_of(traces[0]), ANSWER, MLP) is None
    assert (
        noise_share(result_of(traces[0], fact_trace("b", "b", 0.0, [-9.0] * 2, traces[0].patched[..., 3])), ANSWER, MLP)
        is None
    )
    assert noise_share(persons_of(np.arange(6.0).reshape(3, 2)), ANSWER, MLP) is None, "one draw"


def test_noise_share_of_known_variances() -> None:
    """The facts have variance 1 and each of 8 draws has variance 4: a third of the total 1.5 comes from the draws."""
    generator = np.random.default_rng(0)
    drawn = generator.normal(3.0, 1.0, size=(400, 1)) + generator.normal(0, 2.0, size=(400, 8))
    traces = [
        fact_trace(f"{n}", f"{n}", 0.0, [0.0] * 8, own[None, None, None], sites=SUBJECT) for n, own in enumerate(drawn)
    ]
    assert noise_share(result_of(*traces), ANSWER, MLP) == pytest.approx(1 / 3, rel=0.1)
