"""Bootstrap intervals of the metrics of TOFU and MUSE."""

import numpy as np
import pytest

from unlearning.bootstrap import SEED, draw_indices
from unlearning.evaluation.benchmark_draws import benchmark_draws, privacy_draws
from unlearning.evaluation.intervals import DOCUMENTS, intervals
from unlearning.evaluation.privacy import privacy_auc, privacy_leakage
from unlearning.evaluation.result import ItemScore
from unlearning.evaluation.tofu import UTILITY_SETS, tofu_metrics

SOURCE = np.random.default_rng(8)


def questions(name: str, count: int) -> list[ItemScore]:
    """Return scores of TOFU questions with values between 0 and 1."""
    values = SOURCE.uniform(0.2, 0.9, (count, 3)).tolist()
    return [
        ItemScore(name, f"{name}{place}qa0", {"probability": a, "rouge": b, "log_truth_ratio": -c})
        for place, (a, b, c) in enumerate(values)
    ]


def documents(members: list[float], others: list[float]) -> list[ItemScore]:
    """Return scores of MUSE documents with these losses."""
    return [
        ItemScore(group, f"{group}{place}", {"min_40_nats": loss})
        for group, losses in (("members", members), ("nonmembers", others))
        for place, loss in enumerate(losses)
    ]


def test_model_utility_has_an_interval_around_it() -> None:
    """Its interval is narrower than the widest of its nine means; forget quality, a test's p-value, has none."""
    items = [item for name in ("forget", *UTILITY_SETS) for item in questions(name, 12)]
    metrics = tofu_metrics(items, items)
    found = intervals(metrics, [], [], None, {}, benchmark_draws({"tofu": items}, None))
    low, high = found["tofu_model_utility"]
    utility = metrics["tofu_model_utility"]
    assert utility is not None
    assert low < utility < high
    widths = [end - start for name, (start, end) in found.items() if name != "tofu_model_utility"]
    assert high - low < max(widths)
    assert set(metrics) - set(found) == {"tofu_forget_quality", "tofu_auc", "tofu_privacy_leakage"}


def test_a_benchmark_without_all_sets_has_no_utility() -> None:
    """TOFU's utility needs all of its sets."""
    assert "tofu_model_utility" not in benchmark_draws({"tofu": questions("retain", 3)}, None, 10)


def test_privacy_draws_are_those_of_the_drawn_documents() -> None:
    """Each draw has the AUC and the leakage of just the documents drawn, which are the same for both models."""
    losses = SOURCE.normal(size=(4, 6)).tolist()
    own, retrained = documents(losses[0], losses[1]), documents(losses[2], losses[3])
    drawn = privacy_draws("muse", own, retrained, 20)
    generator = np.random.default_rng([SEED, DOCUMENTS])
    members, others = draw_indices(generator, 6, 20), draw_indices(generator, 6, 20)
    for place in range(20):
        aucs = [
            privacy_auc([inside[i] for i in members[place]], [outside[i] for i in others[place]])
            for inside, outside in (losses[:2], losses[2:])
        ]
        assert drawn["muse_auc"][place] == pytest.approx(aucs[0])
        leakage = privacy_leakage(aucs[0], aucs[1])
        expected = np.nan if leakage is None else leakage
        assert drawn["muse_privacy_leakage"][place] == pytest.approx(expected, nan_ok=True)


def test_without_a_retrained_model_there_is_no_leakage() -> None:
    """Without documents there is not even an AUC."""
    assert set(privacy_draws("muse", documents([1.0], [2.0]), (), 5)) == {"muse_auc"}
    assert privacy_draws("muse", [], (), 5) == {}
