"""Bootstrap draws of the metrics of TOFU, MUSE, WMDP and memorisation. `intervals` says what is drawn, and how.

TOFU's forget quality has no draws: it is the p-value of a test, which itself asks what another sample would have shown.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from unlearning.bootstrap import RESAMPLES, SEED, Values, draw_indices
from unlearning.evaluation.benchmarks import metric_values
from unlearning.evaluation.intervals import DOCUMENTS, Drawn, drawn_auc, harmonic_means, item_draws
from unlearning.evaluation.result import EvaluationResult, ItemScore
from unlearning.evaluation.tofu import UTILITY_SETS, VALUES


def benchmark_draws(
    items: Mapping[str, Sequence[ItemScore]], reference: EvaluationResult | None, resamples: int = RESAMPLES
) -> Drawn:
    """Return the draws of every metric that is a mean over items, and of TOFU's utility and MUSE's privacy leakage."""
    drawn = {name: item_draws(values, resamples) for name, values in metric_values(items).items()}
    nine = [f"tofu_{name}_{value}" for name in UTILITY_SETS for value in VALUES]
    if all(name in drawn for name in nine):
        drawn["tofu_model_utility"] = harmonic_means(np.array([drawn[name] for name in nine]))
    retrained = () if reference is None else reference.items.get("muse", ())
    return drawn | privacy_draws(items.get("muse", ()), retrained, resamples)


def privacy_draws(items: Sequence[ItemScore], retrained: Sequence[ItemScore], resamples: int) -> Drawn:
    """Return the draws of muse_auc, and those of muse_privacy_leakage where the retrained model's items are given.

    Both models are scored on the same drawn documents. The leakage is NaN in a draw where the retrained AUC is 0.
    """
    own, other = _aucs(items, resamples), _aucs(retrained, resamples)
    if own is None or other is None:
        return {} if own is None else {"muse_auc": own}
    with np.errstate(divide="ignore", invalid="ignore"):
        leakage = np.where(other > 0, 100 * (own - other) / other, np.nan)
    return {"muse_auc": own, "muse_privacy_leakage": leakage}


def _aucs(items: Sequence[ItemScore], resamples: int) -> Values | None:
    """Return how often a member has the greater Min-40% loss, in each draw (resamples,); None without pairs."""
    members, others = (
        np.array([item.values["min_40_nats"] for item in items if item.group == group])
        for group in ("members", "nonmembers")
    )
    if not len(members) or not len(others):
        return None
    generator = np.random.default_rng([SEED, DOCUMENTS])
    places = [draw_indices(generator, len(values), resamples) for values in (members, others)]
    aucs: Values = 1 - drawn_auc(members, others, *places)
    return aucs
