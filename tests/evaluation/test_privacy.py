"""Privacy leakage by hand."""

import pytest
import torch

from unlearning.evaluation.privacy import losses_of, min_k_loss, privacy_auc, privacy_leakage, privacy_metrics
from unlearning.evaluation.result import ItemScore


def items(group: str, *values: float) -> list[ItemScore]:
    """Return items of a group with these Min-40% losses."""
    return [ItemScore(group, str(number), {"min_40_nats": value}) for number, value in enumerate(values)]


def test_min_k_by_hand() -> None:
    """40% of five losses are the two greatest; of two losses or one, only the greatest counts."""
    assert min_k_loss(torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0])) == 4.5
    assert min_k_loss(torch.tensor([1.0, 5.0])) == 5
    assert min_k_loss(torch.tensor([2.0])) == 2


def test_privacy_leakage_by_hand() -> None:
    """Members 3, 1 are greater than non-members 2, 0 in three of four pairs, which is 50% more than 0.5."""
    assert privacy_auc([3, 1], [2, 0]) == 0.75
    assert privacy_auc([1], [1]) == 0.5
    assert privacy_auc([1], []) is privacy_auc([], [1]) is None
    assert privacy_leakage(0.75, 0.5) == pytest.approx(50)
    assert privacy_leakage(0.0, 0.5) == pytest.approx(-100)
    assert privacy_leakage(0.75, None) is privacy_leakage(None, 0.5) is privacy_leakage(0.5, 0.0) is None


def test_a_benchmark_names_its_groups() -> None:
    """AUC 0.5 of the own items against 0.75 of the retrained model's: a third less; an item without a loss is none."""
    own = [*items("forget", 1, 1), *items("holdout", 2, 0), ItemScore("forget", "x", {"rouge": 1.0})]
    theirs = [*items("forget", 3, 1), *items("holdout", 2, 0)]
    found = privacy_metrics("tofu", "forget", "holdout", own, theirs)
    assert found == {"tofu_auc": 0.5, "tofu_privacy_leakage": pytest.approx(-100 / 3)}
    assert privacy_metrics("tofu", "forget", "holdout", own, ())["tofu_privacy_leakage"] is None
    assert losses_of(own, "forget") == [1, 1]
