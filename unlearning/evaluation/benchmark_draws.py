"""Bootstrap draws of the metrics of TOFU, MUSE, WMDP, RWKU and memorisation. `intervals` says what is drawn, and how.

TOFU's forget quality has no draws: it is the p-value of a test, which itself asks what another sample would have shown.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from unlearning.bootstrap import RESAMPLES, SEED, Values, draw_indices
from unlearning.evaluation.benchmarks import metric_values
from unlearning.evaluation.intervals import DOCUMENTS, Drawn, drawn_auc, harmonic_means, item_draws
from unlearning.evaluation.privacy import losses_of
from unlearning.evaluation.result import EvaluationResult, ItemScore
from unlearning.evaluation.tofu import HOLDOUT, UTILITY_SETS, VALUES

PRIVACY_GROUPS = {"tofu": ("forget", HOLDOUT), "muse": ("members", "nonmembers")}
"""The members and the non-members of each benchmark that has a privacy leakage."""


def benchmark_draws(
    items: Mapping[str, Sequence[ItemScore]], reference: EvaluationResult | None, resamples: int = RESAMPLES
) -> Drawn:
    """Return the draws of every metric that is a mean over items, of TOFU's utility, and of the privacy leakages."""
    drawn = {name: item_draws(values, resamples) for name, values in metric_values(items).items()}
    nine = [f"tofu_{name}_{value}" for name in UTILITY_SETS for value in VALUES]
    if all(name in drawn for name in nine):
        drawn["tofu_model_utility"] = harmonic_means(np.array([drawn[name] for name in nine]))
    theirs = {} if reference is None else reference.items
    for benchmark in PRIVACY_GROUPS:
        drawn |= privacy_draws(benchmark, items.get(benchmark, ()), theirs.get(benchmark, ()), resamples)
    return drawn


def privacy_draws(benchmark: str, items: Sequence[ItemScore], retrained: Sequence[ItemScore], resamples: int) -> Drawn:
    """Return the draws of the AUC, and those of the privacy leakage where the retrained model's items are given.

    Both models are scored on the same drawn items. The leakage is NaN in a draw where the retrained AUC is 0.
    """
    groups = PRIVACY_GROUPS[benchmark]
    own, other = _aucs(items, groups, resamples), _aucs(retrained, groups, resamples)
    if own is None or other is None:
        return {} if own is None else {f"{benchmark}_auc": own}
    with np.errstate(divide="ignore", invalid="ignore"):
        leakage = np.where(other > 0, 100 * (own - other) / other, np.nan)
    return {f"{benchmark}_auc": own, f"{benchmark}_privacy_leakage": leakage}


def _aucs(items: Sequence[ItemScore], groups: tuple[str, str], resamples: int) -> Values | None:
    """Return how often a member has the greater Min-40% loss, in each draw (resamples,); None without pairs."""
    members, others = (np.array(losses_of(items, group)) for group in groups)
    if not len(members) or not len(others):
        return None
    generator = np.random.default_rng([SEED, DOCUMENTS])
    places = [draw_indices(generator, len(values), resamples) for values in (members, others)]
    aucs: Values = 1 - drawn_auc(members, others, *places)
    return aucs
