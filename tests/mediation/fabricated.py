"""Results of tracing with numbers made up for a test."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceMode
from unlearning.mediation.result import METRICS, Counts, FactTrace, TraceResult
from unlearning.mediation.states import Restoration, Site

SCALES = np.array([0.1, 0.5, 2.0, 1.0])
"""What a number given to a builder is multiplied by in each metric; the last, which decides, has the number itself."""
SUBJECT = (Site("subject", (1, 2)),)
MLP, ATTENTION, LAYER = (Restoration(kind) for kind in (ModuleKind.mlp, ModuleKind.attention, ModuleKind.layer))


def fact(
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
    """Patched by restoration, layer, site and draw; placebo without the sites; without a foil no logit difference."""
    scales = SCALES if foil else np.where(np.array(METRICS) == "logit_difference", np.nan, SCALES)

    def scores(numbers: ArrayLike) -> NDArray[np.float64]:
        return np.multiply(np.asarray(numbers, dtype=float)[..., None], scales)

    own = None if placebo is None else scores(placebo)
    tokens = ("what", "name", "less", "?")
    return FactTrace(name, person, relation, tokens, sites, scores(clean), scores(corrupted), scores(patched), own)


def plain(
    name: str, person: str, effects: ArrayLike, relation: str = "birth_date", placebo: ArrayLike | None = None
) -> FactTrace:
    """A fact of total effect 9 with these indirect effects (R, L), or (L,) for one restoration; one draw, one site."""
    numbers = np.asarray(effects, dtype=float).reshape(-1, np.shape(effects)[-1])
    own = None if placebo is None else np.asarray(placebo, dtype=float).reshape(numbers.shape)[..., None] - 9
    return fact(name, person, 0.0, [-9.0], numbers[..., None, None] - 9, relation, placebo=own)


def result_of(
    *traces: FactTrace,
    restorations: tuple[Restoration, ...] = (MLP,),
    direction: Direction = Direction.denoising,
    counts: Counts | None = None,
) -> TraceResult:
    depth = traces[0].patched.shape[1] if traces else 2
    return TraceResult(restorations, depth, TraceMode.exact, direction, 0.1, traces, counts or Counts())


def persons_of(values: ArrayLike, relations: int = 1, restorations: tuple[Restoration, ...] = (MLP,)) -> TraceResult:
    """One `plain` fact a person from effects (N, L) or (N, R, L); the relations take turns."""
    facts = [
        plain(f"{number:03}", f"{number:03}", own, f"relation {number % relations}")
        for number, own in enumerate(np.asarray(values, dtype=float))
    ]
    return result_of(*facts, restorations=restorations)
