"""How far a metric of knowledge can be believed: its faithfulness and its robustness, by the published formulas.

Every metric is turned so that a higher value, 0 to 1, says that a model knows more. All results are 0 to 1; higher is
better.

- Faithfulness: AUC of telling the models that know from those that lack the knowledge.
- Robustness R to relearning and Q to quantisation, of unlearned models: a metric that saw no knowledge should see none
  after it either, beyond what a model learns that never had it.
- Overall: harmonic mean of faithfulness and of the harmonic mean of R and Q.

Sources: OpenUnlearning (arXiv 2506.12618), one-sided; Unlearning Depth Score (arXiv 2605.24614), two-sided.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from unlearning.bootstrap import SEED, Values, draw_indices, percentile_interval
from unlearning.evaluation.intervals import drawn_auc, harmonic_means
from unlearning.evaluation.membership import membership_auc


@dataclass(frozen=True)
class Changes:
    """The values of a metric before something was done to models, and after it."""

    before: Values
    """(N,)"""
    after: Values
    """(N,)"""

    @property
    def rise(self) -> Values:
        """How much more the metric says after it than before it (N,)."""
        return self.after - self.before


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """What is found of one metric. Without unlearned models that count, only the first two are known."""

    faithfulness: Estimate
    models: int
    """Number of the unlearned models that the robustness is measured on."""
    relearning: Estimate | None = None
    quantisation: Estimate | None = None
    overall: Estimate | None = None
    two_sided: Estimate | None = None
    """Overall, with the two-sided formulas of both kinds of robustness."""


def faithfulness(knows: Values, lacks: Values) -> float:
    """Return the AUC of telling the models that know (P,) from those that lack the knowledge (M,); ties count half."""
    known = np.repeat([True, False], [len(knows), len(lacks)])
    return membership_auc(-np.concatenate([knows, lacks]), known)


def threshold(knows: Values, lacks: Values) -> float:
    """Return the value from which on a model counts as one that knows: true less false positives are most there.

    Of several such values it is the highest.
    """
    labels = np.repeat([True, False], [len(knows), len(lacks)])
    false, true, values = roc_curve(labels, np.concatenate([knows, lacks]), drop_intermediate=False)
    return float(values[np.argmax(true - false)])


def relearning_robustness(unlearned: Changes, retrained: Changes) -> Values:
    """Return R = min(1, D of the retrained model / D of the unlearned one) of each unlearned model (N,).

    D is the rise of the metric by the same relearning, and `retrained` is of one model. Where the unlearned model has
    no rise, R is 1; where it alone has one, R is 0.
    """
    rises, learnt = unlearned.rise, np.maximum(retrained.rise, 0.0)
    return np.where(rises > 0, np.minimum(1.0, _ratio(learnt, rises)), 1.0)


def quantisation_robustness(unlearned: Changes) -> Values:
    """Return Q = min(1, before / after) of each unlearned model (N,); 1 where the metric does not rise."""
    return np.where(unlearned.rise > 0, np.minimum(1.0, _ratio(unlearned.before, unlearned.after)), 1.0)


def relearning_two_sided(unlearned: Changes, retrained: Changes) -> Values:
    """Return R = 1 - |D of the unlearned model - D of the retrained one| / (|D| + |D|), 0 to 1, of each (N,)."""
    return agreement(unlearned.rise, retrained.rise)


def quantisation_two_sided(unlearned: Changes) -> Values:
    """Return Q = 1 - |after - before| / (|after| + |before|), 0 to 1, of each unlearned model (N,)."""
    return agreement(unlearned.after, unlearned.before)


def agreement(first: Values, second: Values) -> Values:
    """Return 1 - |a - b| / (|a| + |b|), cut off at 0; 1 where both are 0."""
    return np.clip(1 - _ratio(np.abs(first - second), np.abs(first) + np.abs(second)), 0.0, 1.0)


def judge(
    knows: Values, lacks: Values, retrained: tuple[Changes, Changes], unlearned: tuple[Changes, Changes]
) -> Judgement:
    """Return what is found of a metric, by its values of both pools (P,) and (M,) and of models that were changed.

    `retrained` and `unlearned` are changed by relearning, then by quantisation. Of the unlearned models only those
    count that the metric takes for models without the knowledge. Intervals are drawn over models: those of each pool
    and the unlearned ones apart, with the threshold as it is.
    """
    forgotten = unlearned[0].before < threshold(knows, lacks)
    generator = np.random.default_rng(SEED)
    of_knows, of_lacks = (draw_indices(generator, len(values)) for values in (knows, lacks))
    # The first of (1 + resamples,) is the value itself.
    auc = np.append(faithfulness(knows, lacks), drawn_auc(-knows, -lacks, of_knows, of_lacks))
    if not forgotten.any():
        return Judgement(_estimate(auc), 0)
    relearned, rounded = (Changes(one.before[forgotten], one.after[forgotten]) for one in unlearned)
    per_model = np.array(
        [
            relearning_robustness(relearned, retrained[0]),
            quantisation_robustness(rounded),
            relearning_two_sided(relearned, retrained[0]),
            quantisation_two_sided(rounded),
        ]
    )
    drawn = draw_indices(generator, per_model.shape[1])
    means = np.hstack([per_model.mean(axis=1)[:, None], per_model[:, drawn].mean(axis=2)])
    return Judgement(
        _estimate(auc),
        int(forgotten.sum()),
        relearning=_estimate(means[0]),
        quantisation=_estimate(means[1]),
        overall=_estimate(overall(auc, *means[:2])),
        two_sided=_estimate(overall(auc, *means[2:])),
    )


def overall(faithfulness: Values, relearning: Values, quantisation: Values) -> Values:
    """Return the harmonic mean of faithfulness and robustness, which is the harmonic mean of R and Q."""
    return harmonic_means(np.array([faithfulness, harmonic_means(np.array([relearning, quantisation]))]))


def _ratio(over: Values, under: Values) -> Values:
    """Return over / under, and 0 where `under` is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.zeros(under.shape), where=under != 0)


def _estimate(values: Values) -> Estimate:
    """Return the first value, with the interval of the others."""
    low, high = percentile_interval(values[1:])
    return Estimate(float(values[0]), float(low), float(high))
