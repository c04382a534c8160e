"""AUC, score and true positive rates of the membership attacks, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from unlearning.evaluation.membership import (
    ATTACKS,
    FALSE_POSITIVE_RATES,
    auc_key,
    membership_auc,
    membership_metrics,
    mia_score,
    tpr_key,
    true_positive_rate,
)
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import DocumentScore

KEYS = {
    "mia_score",
    "neutral_nats",
    *map(auc_key, ATTACKS),
    *(tpr_key(rate, name) for name in ATTACKS for rate in FALSE_POSITIVE_RATES),
}


def scores(members: list[float], others: list[float]) -> list[DocumentScore]:
    """Return documents with these losses; the other attacks have the order reversed, no order, or the same order."""
    return [
        DocumentScore(f"d{place}", place < len(members), loss, -loss, 1.0, 2 * loss)
        for place, loss in enumerate([*members, *others])
    ]


@pytest.mark.parametrize(
    ("members", "others", "auc", "score"),
    [
        ([0.1, 0.2], [3.0, 4.0], 1.0, 0.0),
        ([3.0, 4.0], [0.1, 0.2], 0.0, 0.0),
        ([1.0, 1.0], [1.0], 0.5, 1.0),
        # of 4 pairs the member has the lower loss in 3
        ([1.0, 3.0], [2.0, 4.0], 0.75, 0.5),
    ],
)
def test_auc_and_score(members: list[float], others: list[float], auc: float, score: float) -> None:
    """Each attack is scored by its own values."""
    metrics = membership_metrics(scores(members, others), None)
    assert metrics["mia_auc"] == metrics["mia_auc_min_k_plus"] == auc
    assert metrics["mia_score"] == mia_score(auc) == score
    assert metrics["mia_auc_zlib"] == 1 - auc
    assert metrics["mia_auc_min_k"] == 0.5
    assert metrics["mia_auc_reference"] is None


def test_the_reference_takes_off_what_is_hard_for_any_model() -> None:
    """Losses 3, 1 | 2, 4 minus 3, 1 | 1, 1 are 0, 0 | 1, 3.

    Before, 3 < 4, 1 < 2 and 1 < 4 are three of four pairs; afterwards the member is lower in all four.
    """
    found = scores([3.0, 1.0], [2.0, 4.0])
    reference = scores([3.0, 1.0], [1.0, 1.0])
    metrics = membership_metrics(found, reference)
    assert metrics["mia_auc"] == 0.75
    assert metrics["mia_auc_reference"] == 1.0
    assert metrics["mia_tpr_1_percent_reference"] == metrics["mia_tpr_1_permille_reference"] == 1.0
    assert metrics["mia_tpr_1_percent_loss"] == 0.5


def test_the_neutral_loss_is_the_mean_over_non_members() -> None:
    """Members with losses 7 and 8 do not count: (2 + 4) / 2."""
    assert membership_metrics(scores([7.0, 8.0], [2.0, 4.0]), None)["neutral_nats"] == 3.0


@pytest.mark.parametrize("change", [{"id": "another"}, {"member": False}])
def test_a_reference_of_other_documents_does_not_count(change: dict[str, object]) -> None:
    """The reference must have the same documents in the same roles."""
    found = scores([3.0, 1.0], [2.0, 4.0])
    other = [replace(found[0], **change), *found[1:]]
    for reference in (other, found[1:], []):
        metrics = membership_metrics(found, reference)
        assert metrics["mia_auc_reference"] is None
        assert metrics["mia_tpr_1_percent_reference"] is None
        assert metrics["mia_auc"] == 0.75


def test_all_keys_are_always_there_and_described() -> None:
    """All values are None without documents, and all are numbers with a reference."""
    found = scores([1.0], [2.0])
    assert set(membership_metrics([], None)) == set(membership_metrics(found, None)) == KEYS
    assert set(membership_metrics([], found).values()) == {None}
    assert None not in membership_metrics(found, found).values()
    assert {key for key in METRICS if key.startswith(("mia_", "neutral_"))} == KEYS


@pytest.mark.parametrize(
    ("others", "one_in", "rate"),
    [
        # 150 non-members 0, 1, ..., 149: at 1% one may be accused, so members below 1; at 0.1% none, so those below 0
        (range(150), 100, 3 / 4),
        (range(150), 1000, 1 / 4),
        # 99: not one in a hundred
        (range(99), 100, 1 / 4),
        (range(100), 100, 3 / 4),
        # two equal ones are accused together or not at all
        ([0, 0, *range(1, 149)], 100, 1 / 4),
        (range(1000), 1000, 3 / 4),
        # the greatest possible: half of the non-members
        (range(2), 2, 3 / 4),
    ],
)
def test_true_positive_rate_by_hand(others: range | list[int], one_in: int, rate: float) -> None:
    """Members are at -1, 0, 0.5 and 7000; one that equals a non-member is found only together with it."""
    members = [-1.0, 0.0, 0.5, 7000.0]
    values = np.array([*members, *others], dtype=float)
    member = np.arange(len(values)) < len(members)
    assert true_positive_rate(values, member, one_in) == rate


def test_true_positive_rate_is_the_best_threshold() -> None:
    """The rate is the best of all thresholds tried one by one."""
    source = np.random.default_rng(0)
    for one_in in (2, 5, 100):
        values = source.integers(0, 30, 250).astype(float)
        member = source.random(250) < 0.4
        best = max(
            np.mean(values[member] <= threshold)
            for threshold in [-1.0, *values]
            if np.mean(values[~member] <= threshold) <= 1 / one_in
        )
        assert true_positive_rate(values, member, one_in) == best


def test_one_class_is_refused() -> None:
    """There must be members and non-members."""
    with pytest.raises(ValueError, match="members and non-members"):
        membership_metrics(scores([1.0], []), None)
    with pytest.raises(ValueError, match="members and non-members"):
        membership_auc(np.ones(2), np.zeros(2, dtype=bool))
