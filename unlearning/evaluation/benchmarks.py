"""The metrics of TOFU, MUSE, WMDP and RWKU, for those benchmarks whose questions the data has."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from unlearning.evaluation import muse, rwku, tofu, wmdp
from unlearning.evaluation.memorisation import memorisation_values
from unlearning.evaluation.metrics import BENCHMARKS
from unlearning.evaluation.result import EvaluationResult, ItemScore

ITEM_PARTS = ("memorisation", *BENCHMARKS)
"""Names of the parts of an evaluation whose scores are ItemScores."""
MEANS = ("rouge_f1", "right", "rouge_recall", "loss_nats")
"""Values of MUSE, WMDP and RWKU of which a metric is the mean."""


def benchmark_items(scores: Mapping[str, Sequence[Any]]) -> dict[str, list[ItemScore]]:
    """Return the items of each part that has any."""
    return {name: list(scores[name]) for name in ITEM_PARTS if scores[name]}


def metric_values(items: Mapping[str, Sequence[ItemScore]]) -> dict[str, list[tuple[str, float]]]:
    """Return, for every metric that is a mean over items, the id and the value of each item."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name, scores in items.items():
        for item in scores:
            for key, value in _values(name, item).items():
                found[key].append((item.id, value))
    return dict(found)


def _values(part: str, item: ItemScore) -> dict[str, float]:
    if part == "memorisation":
        return memorisation_values(item)
    if part == "tofu":
        return tofu.tofu_values(item)
    # MUSE's documents count only in an AUC, so no mean is taken of them.
    return {f"{part}_{item.group}": value for key, value in item.values.items() if key in MEANS}


def benchmark_metrics(
    items: Mapping[str, Sequence[ItemScore]], reference: EvaluationResult | None
) -> dict[str, float | None]:
    """Return all metrics of the benchmarks that have items.

    `reference` is the evaluation of the retrained model. Metrics that compare with it are None without it.
    """
    theirs = {} if reference is None else reference.items
    metrics: dict[str, float | None] = {}
    if "tofu" in items:
        metrics |= tofu.tofu_metrics(items["tofu"], theirs.get("tofu"))
    if "muse" in items:
        metrics |= muse.muse_metrics(items["muse"], theirs.get("muse"))
    if "wmdp" in items:
        metrics |= wmdp.wmdp_metrics(items["wmdp"])
    if "rwku" in items:
        metrics |= rwku.rwku_metrics(items["rwku"])
    return metrics
