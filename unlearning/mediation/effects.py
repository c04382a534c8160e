"""From scores to indirect effects, with intervals that treat the facts of one person as one observation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.mediation.result import METRICS, FactTrace, Metric, TraceResult

RESAMPLES = 2000
PERCENTILES = (2.5, 97.5)
DECIDING_GROUPS = ("subject", "last_subject")
"""Sites whose effect counts; of a grid, the last token of the subject (ROME's early site)."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TotalEffect:
    """Mean of clean - corrupted over facts, with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class KindEffects:
    """Mean of restored - corrupted over facts, for each block of one kind, with 95% intervals (pointwise)."""

    kind: ModuleKind
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    normalised: tuple[float, ...] | None
    """mean(indirect effect) / mean(total effect): the share of the loss that this state alone wins back; None
    where the total effect is not positive."""


@dataclass(frozen=True, slots=True)
class Effects:
    """All effects in one metric's unit: probability, or nats a token."""

    metric: Metric
    total: TotalEffect
    kinds: tuple[KindEffects, ...]

    def of(self, kind: ModuleKind) -> KindEffects:
        """Those of one kind. KeyError where it was not traced."""
        for effects in self.kinds:
            if effects.kind == kind:
                return effects
        raise KeyError(kind)


def indirect_effects(result: TraceResult, metric: Metric) -> Effects:
    """Effects per kind and block, each fact's draws averaged first, every fact of the same weight.

    Effects are not clipped at zero: a negative one means that the restored state speaks against the answer.
    Intervals are percentiles of means over persons drawn with replacement, 2,000 times, always the same draws.

    Raises:
        InputError: there is no fact.
    """
    if not result.traces:
        raise InputError("tracing: no fact was traced, so there are no effects")
    # By id, so that rounding does not depend on the order of the facts.
    traces = sorted(result.traces, key=lambda trace: trace.fact)
    values = np.stack([_fact_effects(trace, METRICS.index(metric)) for trace in traces])
    mean = values.mean(0)
    low, high = _intervals(values, [trace.person for trace in traces])
    kinds = []
    for place, kind in enumerate(result.kinds):
        own = slice(1 + place * result.depth, 1 + (place + 1) * result.depth)
        shares = _floats(mean[own] / mean[0]) if mean[0] > 0 else None
        kinds.append(KindEffects(kind, _floats(mean[own]), _floats(low[own]), _floats(high[own]), shares))
    return Effects(metric, TotalEffect(float(mean[0]), float(low[0]), float(high[0])), tuple(kinds))


def _fact_effects(trace: FactTrace, metric: int) -> Values:
    """One fact's total effect and, after it, its indirect effects, kind by kind: (1 + K * L,)."""
    site = next(index for index, site in enumerate(trace.sites) if site.group in DECIDING_GROUPS)
    corrupted = trace.corrupted[:, metric].mean()
    restored = trace.restored[:, :, site, :, metric].mean(-1)
    return np.concatenate([[trace.clean[metric] - corrupted], (restored - corrupted).ravel()])


def _intervals(values: Values, persons: list[str]) -> Values:
    """Cluster bootstrap of the column means of values (N, C): (2, C). With one person it has no width."""
    names, owner = np.unique(persons, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, owner, values)
    sizes = np.bincount(owner)
    even = np.full(len(names), 1 / len(names))
    weights = np.random.default_rng(0).multinomial(len(names), even, size=RESAMPLES)
    means = (weights @ sums) / (weights @ sizes)[:, None]
    bounds: Values = np.percentile(means, PERCENTILES, axis=0)
    return bounds


def _floats(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
