"""Results of tracing with numbers that a test chooses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceMode
from unlearning.mediation.result import METRICS, FactCounts, FactTrace, TraceResult
from unlearning.mediation.states import Restoration, Site

SCALES = np.array([0.1, 0.5, 2.0, 1.0])
"""A score is the number given to a builder times its metric's scale; the last metric, which decides, has the number."""
SUBJECT = (Site("subject", (1, 2)),)
MLP, ATTENTION, LAYER = (Restoration(kind) for kind in (ModuleKind.mlp, ModuleKind.attention, ModuleKind.layer))


def fact_trace(
    name: str,
    person: str,
    clean: float,
    corrupted: Sequence[float],
    patched: ArrayLike,
    relation: str = "birth_date",
    sites: tuple[Site, ...] = SUBJECT,
    placebo: ArrayLike | None = None,
    foil: bool = True,
) -> FactTrace:
    """Return a fact's trace from numbers `patched` (R, L, S, D) and `placebo` (R, L, D).

    Without a foil it has no logit difference.
    """
    scales = SCALES if foil else np.where(np.array(METRICS) == "logit_difference", np.nan, SCALES)

    def scores(numbers: ArrayLike) -> NDArray[np.float64]:
        return np.multiply(np.asarray(numbers, dtype=float)[..., None], scales)

    own = None if placebo is None else scores(placebo)
    tokens = ("what", "name", "less", "?")
    return FactTrace(name, person, relation, tokens, sites, scores(clean), scores(corrupted), scores(patched), own)


def plain(
    name: str, person: str, effects: ArrayLike, relation: str = "birth_date", placebo: ArrayLike | None = None
) -> FactTrace:
    """Return a fact of total effect 9 with indirect effects (R, L), or (L,) for one restoration; one draw, one site."""
    numbers = np.asarray(effects, dtype=float).reshape(-1, np.shape(effects)[-1])
    own = None if placebo is None else np.asarray(placebo, dtype=float).reshape(numbers.shape)[..., None] - 9
    return fact_trace(name, person, 0.0, [-9.0], numbers[..., None, None] - 9, relation, placebo=own)


def result_of(
    *traces: FactTrace,
    restorations: tuple[Restoration, ...] = (MLP,),
    direction: Direction = Direction.denoising,
    counts: FactCounts | None = None,
) -> TraceResult:
    depth = traces[0].patched.shape[1] if traces else 2
    return TraceResult(restorations, depth, TraceMode.exact, direction, 0.1, traces, counts or FactCounts())


def persons_of(values: ArrayLike, relations: int = 1, restorations: tuple[Restoration, ...] = (MLP,)) -> TraceResult:
    """Return a result of one `plain` fact for each of N persons, from effects (N, L) or (N, R, L).

    The relations take turns.
    """
    facts = [
        plain(f"{number:03}", f"{number:03}", own, f"relation {number % relations}")
        for number, own in enumerate(np.asarray(values, dtype=float))
    ]
    return result_of(*facts, restorations=restorations)
