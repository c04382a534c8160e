"""Means over facts and their intervals: by hand, against textbook formulas, and by simulated coverage."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from unlearning.bootstrap import RESAMPLES, Values
from unlearning.mediation.person_bootstrap import BootstrapMean, EffectCurve, PersonBootstrap, strata, student_t


def weights_of(persons: list[str], relations: list[str]) -> NDArray[np.float64]:
    """Return the weight of each fact in each resample, which is the mean of the fact's own indicator."""
    return PersonBootstrap(persons, relations).means(np.eye(len(persons))).resampled


def test_every_relation_weighs_the_same() -> None:
    bootstrap = PersonBootstrap(["one", "one", "one", "two"], ["a", "a", "a", "b"])
    assert bootstrap.means(np.array([1.0, 2.0, 3.0, 10.0])).mean == pytest.approx(6.0)
    assert bootstrap.means(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 3.0], [10.0, 0.0]])).mean == pytest.approx(
        [6.0, 0.5]
    )


def test_a_fact_without_numbers_is_left_out() -> None:
    bootstrap = PersonBootstrap(["one", "one", "two", "two"], ["a", "b", "a", "b"])
    estimate = bootstrap.means(np.array([1.0, np.nan, 3.0, 10.0]))
    assert estimate.mean == pytest.approx((2.0 + 10.0) / 2)
    # With person one alone there is no fact of b; person two alone gives (3 + 10) / 2.
    assert set(np.unique(estimate.resampled.round(9))) == {1.0, 6.5}


def test_resamples_without_any_fact_are_passed_over() -> None:
    estimate = PersonBootstrap(["one", "two"], ["a", "a"]).means(np.array([[5.0], [np.nan]]))
    missing = np.isnan(estimate.resampled[:, 0])
    assert 0.4 < missing.mean() < 0.6
    assert estimate.freedom == 1
    assert estimate.curve() == EffectCurve((5.0,), (5.0,), (5.0,), (5.0,), (5.0,))
    assert estimate[0].interval().low == 5.0


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        ({"A": "a", "B": "a", "C": "a"}, ["ABC"]),
        ({"A": "a", "B": "a", "C": "a", "D": "b", "E": "b", "F": "b"}, ["ABC", "DEF"]),
        ({"A": "ab", "B": "ba", "C": "ab", "D": "a", "E": "b", "F": "bc"}, ["ABC", "DEF"]),
        ({"A": "a", "B": "a", "C": "a", "D": "a", "E": "b", "F": "b", "G": "b", "H": "ab"}, ["ABCD", "EFGH"]),
        ({"A": "a", "B": "b"}, ["AB"]),
        ({"A": "abc"}, ["A"]),
    ],
    ids=["one", "two", "three singles pooled", "a lone person joins the smallest", "nothing but a pool", "one person"],
)
def test_strata(relations: dict[str, str], expected: list[str]) -> None:
    pairs = [(person, relation) for person, covered in relations.items() for relation in covered]
    for order in (pairs, pairs[::-1]):
        found = strata([person for person, _ in order], [relation for _, relation in order])
        assert sorted("".join(sorted(stratum)) for stratum in found) == expected


def test_weights_of_a_resample() -> None:
    """All facts of a drawn person count, every relation weighs the same, and no stratum is without a person."""
    persons = ["A", "A", "B", "B", "C", "C", "D", "E", "F"]
    relations = ["a", "b", "a", "b", "a", "b", "c", "c", "c"]
    weights = weights_of(persons, relations)
    assert weights.shape == (RESAMPLES, 9)
    assert np.allclose(weights[:, [0, 2, 4]], weights[:, [1, 3, 5]])
    for own in ([0, 2, 4], [1, 3, 5], [6, 7, 8]):
        assert np.allclose(weights[:, own].sum(1), 1 / 3)
        # Of three persons two are drawn: the same person twice, or two persons.
        assert set(np.unique((weights[:, own] * 6).round(9))) == {0.0, 1.0, 2.0}
    assert np.allclose(weights.mean(0), 1 / 9, atol=0.01)


@pytest.mark.parametrize("size", [2, 3, 5, 40])
def test_standard_error_is_the_textbook_one(size: int) -> None:
    """It is s / sqrt(n), with n - 1 in s, however small n; n plain draws would give it times sqrt((n - 1) / n)."""
    values = np.random.default_rng(size).normal(size=size)
    estimate = PersonBootstrap([str(number) for number in range(size)], ["a"] * size).means(values)
    assert estimate.resampled.std() == pytest.approx(values.std(ddof=1) / size**0.5, rel=0.05)


def test_standard_error_of_strata() -> None:
    """Two relations are asked of different persons: their variances add up, but their difference is no variance."""
    values = np.random.default_rng(0).normal(size=20) + np.repeat([0.0, 50.0], 10)
    estimate = PersonBootstrap([str(number) for number in range(20)], ["a"] * 10 + ["b"] * 10).means(values)
    expected = (values[:10].var(ddof=1) / 10 + values[10:].var(ddof=1) / 10) ** 0.5 / 2
    assert estimate.resampled.std() == pytest.approx(expected, rel=0.05)


def test_intervals_of_one_person_have_no_width() -> None:
    """The same holds for layers in which persons do not differ; they do not change the bands of other layers."""
    alone = PersonBootstrap(["one"] * 3, ["a", "a", "b"]).means(np.array([[0.1, 1.0], [0.3, 1.0], [0.7, 1.0]])).curve()
    for bound in (alone.low, alone.high, alone.band_low, alone.band_high):
        assert bound == pytest.approx((0.45, 1.0))
    moving = np.random.default_rng(0).normal(size=(12, 1))
    persons, relations = [str(number) for number in range(12)], ["a"] * 12
    both = PersonBootstrap(persons, relations).means(np.hstack([moving, np.full((12, 1), 0.1)])).curve()
    single = PersonBootstrap(persons, relations).means(moving).curve()
    assert both.band_low[0] == pytest.approx(single.band_low[0])
    assert both.band_low[1] == both.band_high[1] == pytest.approx(0.1)


def test_band_and_margin_by_hand() -> None:
    """Two layers have standard errors 1 and 2, and every resample differs from the mean by one of these."""
    resampled = np.repeat([[-1.0, 3.0], [1.0, 3.0], [-1.0, 7.0], [1.0, 7.0]], 500, axis=0)
    estimate = BootstrapMean(np.array([0.0, 5.0]), resampled, freedom=10**6)
    curve = estimate.curve()
    assert (curve.low, curve.high) == ((-1.0, 3.0), (1.0, 7.0))
    assert curve.band_low == pytest.approx((-1.0, 3.0), abs=1e-5)
    assert curve.band_high == pytest.approx((1.0, 7.0), abs=1e-5)
    # A quarter of the resamples has both layers one standard error down; the others have one of them up.
    assert estimate.margin(0.2) == pytest.approx([-1.0, -2.0], abs=1e-5)
    assert estimate.margin(0.3) == pytest.approx([1.0, 2.0], abs=1e-5)


@pytest.mark.parametrize(
    ("freedom", "normal", "expected"),
    [(5, 1.96, 2.571), (9, 1.96, 2.262), (19, 1.645, 1.729), (19, 3.0, 3.447), (60, 3.0, 3.130), (10**6, 2.5, 2.5)],
)
def test_student_against_tables(freedom: int, normal: float, expected: float) -> None:
    assert student_t(normal, freedom) == pytest.approx(expected, rel=0.0005)
    assert student_t(-normal, freedom) == -student_t(normal, freedom)


def test_student_of_a_huge_deviate_is_a_number() -> None:
    """Where two persons nearly agree the deviate can be huge, but the margin must stay a finite number."""
    assert 1e100 < student_t(1e9, 1) < float("inf")
    assert student_t(-1e9, 1) == -student_t(1e9, 1)


TRUTH = np.array([0.0, 1.0, 2.0, 1.0, 0.0, -1.0])


def estimates(traces: int) -> Iterator[BootstrapMean]:
    """Yield means over 30 persons with one to three facts of three relations; a person's facts resemble one another."""
    generator = np.random.default_rng(7)
    persons = [person for person in range(30) for _ in range(1 + person % 3)]
    relations = [f"relation {(person // 3 + place) % 3}" for place, person in enumerate(persons)]
    for _ in range(traces):
        own = generator.normal(size=(30, 1)) + generator.normal(size=(30, len(TRUTH)))
        values: Values = TRUTH + own[persons] + generator.normal(0, 0.5, size=(len(persons), len(TRUTH)))
        yield PersonBootstrap([str(person) for person in persons], relations).means(values)


@pytest.mark.exhaustive
def test_intervals_and_bands_hold_about_as_often_as_they_say() -> None:
    """95% of 400 traces are 380, with a standard deviation of 4.4."""
    point, joint, band = 0.0, 0, 0
    for estimate in estimates(400):
        curve = estimate.curve()
        inside = (np.array(curve.low) <= TRUTH) & (np.array(curve.high) >= TRUTH)
        point += float(inside.mean())
        joint += bool(inside.all())
        band += bool(((np.array(curve.band_low) <= TRUTH) & (np.array(curve.band_high) >= TRUTH)).all())
    assert 364 <= point <= 390
    assert 364 <= band <= 392
    assert joint < 340, "intervals for single layers are not a band"


@pytest.mark.exhaustive
def test_margin_holds_about_as_often_as_it_says() -> None:
    """One-sided lower bounds hold for all layers at once, and they are nearer than those of a two-sided band."""
    held, narrower = 0, []
    for estimate in estimates(400):
        held += bool((estimate.mean - estimate.margin(0.95) <= TRUTH).all())
        narrower.append(estimate.margin(0.95)[0] / (estimate.mean - np.array(estimate.curve().band_low))[0])
    assert 364 <= held <= 392
    assert max(narrower) < 1
