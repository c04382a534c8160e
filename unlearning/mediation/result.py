"""What tracing leaves behind: per fact and per corrupted run, never only means."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearning.config import Direction, ModuleKind, TraceMode
from unlearning.mediation.states import Restoration, Site, deciding_site

Scores = NDArray[np.float64]


class Metric(StrEnum):
    """How well the model gives the answer; the order is that of the last axis of all scores."""

    PROBABILITY = "probability"
    """Of the answer's first token, in [0, 1]."""
    LOG_PROBABILITY = "log_probability"
    """Of the answer's first token, in nats; 0 or less."""
    LOGIT_DIFFERENCE = "logit_difference"
    """Logit of the answer's token minus that of another person's answer, where the two answers first differ; NaN where
    no other person has such a fact."""
    ANSWER_LOG_PROBABILITY = "answer_log_probability"
    """Mean over the answer's tokens, each given the answer so far, in nats; 0 or less."""


METRICS = tuple(Metric)


@dataclass(frozen=True)
class FactTrace:
    """One fact's scores; M = len(METRICS), D corrupted runs, R restorations, L layers, S sites."""

    fact: str
    person: str
    relation: str
    tokens: tuple[str, ...]
    """The prompt's tokens, as text."""
    sites: tuple[Site, ...]
    clean: Scores
    """(M,): the run that knows the answer."""
    corrupted: Scores
    """(D, M): the run that does not."""
    patched: Scores
    """(R, L, S, D, M): one of the two, with a state of the other."""
    placebo: Scores | None
    """(R, L, D, M): the same at the deciding site alone, with the states of another person's question."""

    @property
    def deciding_site(self) -> Site:
        """The site whose effects count."""
        return self.sites[deciding_site(self.sites)]

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not a number (NaN) becomes null."""
        arrays = {name: getattr(self, name) for name in ("clean", "corrupted", "patched", "placebo")}
        return {
            "fact": self.fact,
            "person": self.person,
            "relation": self.relation,
            "tokens": list(self.tokens),
            "sites": [[site.group, list(site.positions)] for site in self.sites],
            **{name: None if value is None else _without_nan(value) for name, value in arrays.items()},
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> "FactTrace":
        """Inverse of `to_json`, to the last bit."""
        clean, corrupted, patched = (np.array(value[key], float) for key in ("clean", "corrupted", "patched"))
        return FactTrace(
            fact=value["fact"],
            person=value["person"],
            relation=value["relation"],
            tokens=tuple(value["tokens"]),
            sites=tuple(Site(group, tuple(positions)) for group, positions in value["sites"]),
            clean=clean,
            corrupted=corrupted,
            patched=patched,
            placebo=None if value["placebo"] is None else np.array(value["placebo"], float),
        )


@dataclass(frozen=True)
class Counts:
    """Facts that were looked at and why some are not among the traces."""

    unknown: tuple[str, ...] = ()
    """Ids of facts whose first answer token the model does not give greedily."""
    without_foil: tuple[str, ...] = ()
    """Ids of facts for which no other person's name has as many tokens in the same question."""
    unmoved: tuple[str, ...] = ()
    """Ids of facts whose answer the corruption costs no more than trace.min_total_effect."""
    left_over: int = 0
    """Facts that were not looked at because enough were traced."""


@dataclass(frozen=True)
class Screening:
    """How well the first-order estimate ranks the states, against exact effects of the same facts."""

    facts: int
    """Facts whose exact effects were computed too."""
    correlation: dict[str, float]
    """Spearman's, over layers and facts, by the restoration's label; NaN where either side is constant."""
    of_means: dict[str, float]
    """Spearman's, over layers, of the effects averaged over those facts."""


@dataclass(frozen=True)
class TraceResult:
    """All traced facts, and how many were not."""

    restorations: tuple[Restoration, ...]
    depth: int
    """Layers of the model."""
    mode: TraceMode
    direction: Direction
    noise: float
    """Standard deviation of the noise that was added, in the embeddings' own unit; 0 for other corruptions."""
    traces: tuple[FactTrace, ...]
    counts: Counts = field(default_factory=Counts)
    screening: Screening | None = None
    """None unless mode is screen, whose traces hold estimates."""


def indirect(scores: Scores, clean: Scores, corrupted: Scores, direction: Direction) -> Scores:
    """Indirect effects from patched scores (..., D, M), of the same shape.

    patched - corrupted where the corrupted run is mended (denoising), clean - patched where the clean run is broken
    (noising): in both, what the state carries of clean - corrupted.
    """
    return scores - corrupted if direction is Direction.denoising else clean - scores


def restoration_from_json(value: dict[str, Any]) -> Restoration:
    """Inverse of `dataclasses.asdict`."""
    severed = None if value["severed"] is None else ModuleKind(value["severed"])
    return Restoration(ModuleKind(value["kind"]), int(value["window"]), severed)


def _without_nan(values: Scores) -> Any:
    """Nested lists with None for NaN (numpy reads it back as NaN)."""
    return np.where(np.isnan(values), None, values.astype(object)).tolist()  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class LayerGradients:
    """Per layer of the model, how much more the facts pull at the selected kind of part than retain facts do."""

    gradient: tuple[float, ...]
    """Norm of the gradient on the facts over that on retain facts."""
    fisher: tuple[float, ...]
    """The same with the trace of the empirical Fisher information."""
