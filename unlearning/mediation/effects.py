"""Mean indirect effects of each layer, with intervals, bands and paired differences."""

from dataclasses import dataclass

import numpy as np

from unlearning.config.scope import ModuleKind
from unlearning.mediation.fact_effects import FactEffects, fact_effects
from unlearning.mediation.person_bootstrap import BootstrapMean, EffectCurve, Interval, floats
from unlearning.mediation.result import Metric, TraceResult
from unlearning.mediation.states import Restoration


@dataclass(frozen=True, slots=True)
class RestorationEffects:
    """Indirect effects of one restoration at the deciding site, for each layer; differences are taken within facts."""

    restoration: Restoration
    effect: EffectCurve
    normalised: tuple[float, ...] | None
    """mean(indirect effect) / mean(total effect): the share of the total effect that this state alone carries. None
    where the total effect is not positive."""
    placebo: EffectCurve | None
    """Effect of the states of another person's question; None where it was not traced."""
    above_placebo: EffectCurve | None
    """Effect minus placebo, over the facts that have one."""
    below_peak: EffectCurve
    """Effect of the layer with the largest mean minus this layer's; 0 at that layer, which is taken as known."""
    by_relation: dict[str, tuple[float, ...]]
    """Mean effects (L,) of each relation's facts."""
    by_group: dict[str, EffectCurve]
    """Effects by token group. A fact's positions of one group are averaged first; facts without it are left out."""


@dataclass(frozen=True, slots=True)
class Effects:
    """All effects in one metric's unit: probability, nats, nats a token, or logits."""

    metric: Metric
    facts: int
    """Number of facts that have numbers in this metric."""
    total: Interval
    """Mean total effect, clean - corrupted."""
    total_by_relation: dict[str, float]
    restorations: tuple[RestorationEffects, ...]
    severed_gaps: dict[str, EffectCurve]
    """Severed kind -> effect of the layer's output minus its effect with that kind severed. This difference travels to
    the answer through the severed parts at the same positions."""

    def of(self, restoration: Restoration) -> RestorationEffects:
        """Return the effects of one restoration. KeyError where it was not traced."""
        for effects in self.restorations:
            if effects.restoration == restoration:
                return effects
        raise KeyError(restoration)


@dataclass(frozen=True)
class _Estimates:
    """Means (R, L) of all restorations at once."""

    effect: BootstrapMean
    placebo: BootstrapMean | None
    above_placebo: BootstrapMean | None
    below_peak: BootstrapMean
    groups: dict[str, BootstrapMean]


def indirect_effects(result: TraceResult, metric: Metric) -> Effects | None:
    """Return the mean effects of every restoration and layer; None where no fact has numbers in this metric.

    A mean is taken over relations of the means over their facts (`person_bootstrap`). Nothing is clipped at zero.
    """
    facts = fact_effects(result, metric)
    if facts is None:
        return None
    estimates = _estimates(facts)
    total = facts.bootstrap.means(facts.total).interval()
    own = {str(relation): facts.relations == relation for relation in np.unique(facts.relations)}
    by_relation = {relation: facts.effect[chosen].mean(0) for relation, chosen in own.items()}
    restorations = [
        RestorationEffects(
            restoration=restoration,
            effect=estimates.effect[place].curve(),
            normalised=floats(estimates.effect.mean[place] / total.mean) if total.mean > 0 else None,
            placebo=estimates.placebo[place].curve() if estimates.placebo else None,
            above_placebo=estimates.above_placebo[place].curve() if estimates.above_placebo else None,
            below_peak=estimates.below_peak[place].curve(),
            by_relation={relation: floats(means[place]) for relation, means in by_relation.items()},
            by_group={group: estimate[place].curve() for group, estimate in estimates.groups.items()},
        )
        for place, restoration in enumerate(result.restorations)
    ]
    return Effects(
        metric=metric,
        facts=len(facts.total),
        total=total,
        total_by_relation={relation: float(facts.total[chosen].mean()) for relation, chosen in own.items()},
        restorations=tuple(restorations),
        severed_gaps=_severed_gaps(facts, result.restorations),
    )


def _estimates(facts: FactEffects) -> _Estimates:
    """Return the means of effects, placebos and differences."""
    means = facts.bootstrap.means
    effect = means(facts.effect)
    peaks = effect.mean.argmax(-1)[None, :, None]
    return _Estimates(
        effect=effect,
        placebo=None if facts.placebo is None else means(facts.placebo),
        above_placebo=None if facts.placebo is None else means(facts.effect - facts.placebo),
        below_peak=means(np.take_along_axis(facts.effect, peaks, -1) - facts.effect),
        groups={group: means(values) for group, values in facts.groups.items()},
    )


def _severed_gaps(facts: FactEffects, restorations: tuple[Restoration, ...]) -> dict[str, EffectCurve]:
    """Return what each severed path carries of the effect of a layer's output."""
    gaps: dict[str, EffectCurve] = {}
    for place, restoration in enumerate(restorations):
        if restoration.severed:
            whole = restorations.index(Restoration(ModuleKind.layer))
            gap = facts.effect[:, whole] - facts.effect[:, place]
            gaps[str(restoration.severed)] = facts.bootstrap.means(gap).curve()
    return gaps
