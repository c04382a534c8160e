"""The effects of each fact, before any mean over facts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearning.bootstrap import Values
from unlearning.mediation.person_bootstrap import PersonBootstrap
from unlearning.mediation.result import METRICS, FactTrace, Metric, TraceResult, indirect
from unlearning.mediation.states import Restoration, deciding_site


@dataclass(frozen=True)
class FactEffects:
    """Effects of N facts in the order of their ids, in one metric's unit: R restorations, L layers, draws averaged."""

    persons: int
    """Number of persons."""
    relations: NDArray[np.str_]
    """(N,)"""
    bootstrap: PersonBootstrap
    total: Values
    """(N,): total effect, clean - corrupted."""
    effect: Values
    """(N, R, L): indirect effect at the deciding site."""
    placebo: Values | None
    """(N, R, L): the same with another person's states; NaN for facts without a placebo; None where no fact has one."""
    groups: dict[str, Values]
    """Token group -> (N, R, L): mean indirect effect over the fact's positions of the group; NaN where it has none."""


def fact_effects(result: TraceResult, metric: Metric) -> FactEffects | None:
    """Return the effects of all facts that have numbers in this metric; None where none has.

    Effects are not clipped at zero: a negative one means that the state makes the answer less likely.
    """
    traces = _measured(result, metric)
    if not traces:
        return None
    column = METRICS.index(metric)
    persons, relations = [trace.person for trace in traces], [trace.relation for trace in traces]
    by_site = [_indirect(trace.patched, trace, result, column).mean(-1) for trace in traces]
    pairs = list(zip(traces, by_site, strict=True))
    groups = dict.fromkeys(site.group for trace in traces for site in trace.sites)
    placebos = np.stack([_placebo(trace, result, column) for trace in traces])
    return FactEffects(
        persons=len(set(persons)),
        relations=np.array(relations),
        bootstrap=PersonBootstrap(persons, relations),
        total=np.array([trace.clean[column] - trace.corrupted[:, column].mean() for trace in traces]),
        effect=np.stack([effects[:, :, deciding_site(trace.sites)] for trace, effects in pairs]),
        placebo=None if np.isnan(placebos).all() else placebos,
        groups={group: np.stack([_group_mean(trace, own, group) for trace, own in pairs]) for group in groups},
    )


def noise_share(result: TraceResult, metric: Metric, restoration: Restoration) -> float | None:
    """Return the share, in [0, 1], of the variance of the peak layer's mean effect that comes from too few draws.

    It is (w / S) / v. Here w is a fact's variance over its S draws, averaged over facts, and v is the variance over
    facts of their means over draws, of which w / S is a part. Near 1 more draws would narrow the intervals, near 0 only
    more facts would. None with one draw or one fact, or where all facts are equal.
    """
    traces = _measured(result, metric)
    if len(traces) < 2 or traces[0].corrupted.shape[0] < 2:
        return None
    place, column = result.restorations.index(restoration), METRICS.index(metric)
    own = [trace.patched[place][:, deciding_site(trace.sites)] for trace in traces]
    effects = np.stack([_indirect(*pair, result, column) for pair in zip(own, traces, strict=True)])  # (N, L, S)
    peak = effects[:, effects.mean((0, 2)).argmax()]
    between = float(peak.mean(1).var(ddof=1))
    within = float(peak.var(1, ddof=1).mean())
    return min(within / peak.shape[1] / between, 1.0) if between > 0 else None


def _measured(result: TraceResult, metric: Metric) -> list[FactTrace]:
    """Return the facts with numbers in this metric, by id, so that the order given changes no draw and no rounding."""
    column = METRICS.index(metric)
    return [
        trace
        for trace in sorted(result.traces, key=lambda trace: trace.fact)
        if not any(np.isnan(scores[..., column]).any() for scores in (trace.clean, trace.corrupted, trace.patched))
    ]


def _indirect(scores: Values, trace: FactTrace, result: TraceResult, column: int) -> Values:
    """Return one metric's indirect effects (..., S) of scores (..., S, M)."""
    own = slice(column, column + 1)
    return indirect(scores[..., own], trace.clean[own], trace.corrupted[:, own], result.direction)[..., 0]


def _placebo(trace: FactTrace, result: TraceResult, column: int) -> Values:
    """Return the placebo's effects (R, L), draws averaged; all NaN where the fact has no placebo."""
    if trace.placebo is None:
        return np.full(trace.patched.shape[:2], np.nan)
    mean: Values = _indirect(trace.placebo, trace, result, column).mean(-1)
    return mean


def _group_mean(trace: FactTrace, effects: Values, group: str) -> Values:
    """Return the mean effects (R, L) over the sites of the group, of effects (R, L, S); all NaN where there is none."""
    own = [index for index, site in enumerate(trace.sites) if site.group == group]
    mean: Values = effects[:, :, own].mean(-1) if own else np.full(effects.shape[:2], np.nan)
    return mean
