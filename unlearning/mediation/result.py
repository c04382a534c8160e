"""What tracing measures: scores for each fact and each corrupted run, before any mean is taken."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.states import Restoration, Site, deciding_site

Scores = NDArray[np.float64]


class Metric(StrEnum):
    """How well the model gives the answer. The order is that of the last axis of all scores."""

    PROBABILITY = "probability"
    """Probability of the answer's first token, in [0, 1]."""
    LOG_PROBABILITY = "log_probability"
    """Log-probability of the answer's first token, in nats; 0 or less."""
    LOGIT_DIFFERENCE = "logit_difference"
    """Logit of the answer's token minus that of another person's answer, where the two answers first differ; NaN where
    no other person has such a fact."""
    ANSWER_LOG_PROBABILITY = "answer_log_probability"
    """Mean log-probability of the answer's tokens, each given the answer so far, in nats; 0 or less."""

    @property
    def unit(self) -> str:
        """Return the unit of effects in this metric, for people."""
        return {
            Metric.PROBABILITY: "probability",
            Metric.LOG_PROBABILITY: "nats",
            Metric.LOGIT_DIFFERENCE: "logits",
            Metric.ANSWER_LOG_PROBABILITY: "nats a token",
        }[self]


METRICS = tuple(Metric)


@dataclass(frozen=True)
class FactTrace:
    """The scores of one fact: M = len(METRICS) metrics, D corrupted runs, R restorations, L layers, S sites."""

    fact: str
    person: str
    relation: str
    tokens: tuple[str, ...]
    """The prompt's tokens, as text."""
    sites: tuple[Site, ...]
    clean: Scores
    """(M,): the clean run, which knows the answer."""
    corrupted: Scores
    """(D, M): the corrupted runs, which do not."""
    patched: Scores
    """(R, L, S, D, M): one of the two runs with one state of the other."""
    placebo: Scores | None
    """(R, L, D, M): the same with the states of another person's question, at the deciding site alone."""

    @property
    def deciding_site(self) -> Site:
        """The site whose effects choose the layers."""
        return self.sites[deciding_site(self.sites)]

    def to_json(self) -> dict[str, Any]:
        """Return the trace as plain data; NaN becomes null."""
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
        """Return the trace that `to_json` was called on, equal to the last bit."""
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
class FactCounts:
    """Facts that are not among the traces, by the reason why."""

    unknown: tuple[str, ...] = ()
    """Ids of facts whose first answer token the model does not give greedily."""
    without_foil: tuple[str, ...] = ()
    """Ids of facts for which no other person's name has as many tokens in the same question."""
    below_min_effect: tuple[str, ...] = ()
    """Ids of facts whose total effect is at most trace.min_total_effect."""
    not_needed: int = 0
    """How many facts were left because trace.facts of them were found before."""


@dataclass(frozen=True)
class Screening:
    """How well first-order estimates rank the states, compared with the exact effects of the same facts."""

    facts: int
    """Facts whose exact effects were computed too."""
    correlation: dict[str, float]
    """Spearman's correlation over layers and facts, by the restoration's label; NaN where either side is constant."""
    correlation_of_means: dict[str, float]
    """Spearman's correlation over layers of the effects averaged over those facts."""


@dataclass(frozen=True)
class TraceResult:
    """All traced facts, and which facts were not traced."""

    restorations: tuple[Restoration, ...]
    depth: int
    """Number of the model's layers."""
    mode: TraceMode
    direction: Direction
    noise: float
    """Standard deviation of the noise that was added, in the embeddings' own unit; 0 for other corruptions."""
    traces: tuple[FactTrace, ...]
    counts: FactCounts = field(default_factory=FactCounts)
    screening: Screening | None = None
    """None unless the mode is screen; then the traces hold estimates."""


def indirect(scores: Scores, clean: Scores, corrupted: Scores, direction: Direction) -> Scores:
    """Return the indirect effects (..., D, M) of patched scores of the same shape.

    Denoising puts a state of the clean run into the corrupted run: patched - corrupted. Noising puts a state of the
    corrupted run into the clean run: clean - patched. Both say how much of the total effect the state carries.
    """
    return scores - corrupted if direction is Direction.denoising else clean - scores


def checked_trace(
    fact: EncodedFact,
    sites: tuple[Site, ...],
    clean: Scores,
    corrupted: Scores,
    patched: Scores,
    placebo: Scores | None,
) -> FactTrace:
    """Return the trace of one fact from scores in the shapes of `FactTrace`.

    Raises:
        InputError: a score is NaN or infinite; only the logit difference of a fact without contrast may be NaN.
    """
    for values in (clean, corrupted, patched, *(() if placebo is None else (placebo,))):
        needed = values if fact.contrast else np.delete(values, METRICS.index(Metric.LOGIT_DIFFERENCE), -1)
        if not np.isfinite(needed).all():
            raise InputError(f"fact {fact.source.id}: the model's scores are not finite, so it cannot be traced")
    return FactTrace(
        fact=fact.source.id,
        person=fact.source.person,
        relation=fact.source.relation,
        tokens=fact.texts,
        sites=sites,
        clean=clean,
        corrupted=corrupted,
        patched=patched,
        placebo=placebo,
    )


def restoration_from_json(value: dict[str, Any]) -> Restoration:
    """Return the restoration that `dataclasses.asdict` made the value of."""
    severed = None if value["severed"] is None else ModuleKind(value["severed"])
    return Restoration(ModuleKind(value["kind"]), int(value["window"]), severed)


def _without_nan(values: Scores) -> Any:
    """Return nested lists with None in place of NaN (numpy reads None back as NaN)."""
    return np.where(np.isnan(values), None, values.astype(object)).tolist()  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class LayerGradients:
    """For each layer, how large the gradients of forget facts are, divided by those of retain facts.

    The gradients are those of the selected kind of part; see `gradients.layer_gradients`.
    """

    gradient: tuple[float, ...]
    """Ratio of the norms of the mean gradients."""
    fisher: tuple[float, ...]
    """Ratio of the traces of the empirical Fisher information."""
