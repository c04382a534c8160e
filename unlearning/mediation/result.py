"""What tracing leaves behind: per fact and per noise draw, never only means."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearning.config import ModuleKind
from unlearning.mediation.states import Site

Scores = NDArray[np.float64]


class Metric(StrEnum):
    """How well the model gives the answer; the order is that of the last axis of all scores."""

    PROBABILITY = "probability"
    """Of the answer's first token, in [0, 1]."""
    LOG_PROBABILITY = "log_probability"
    """Mean over the answer's tokens, each given the answer so far, in nats; 0 or less."""


METRICS = tuple(Metric)
COLUMNS = (
    *("fact", "person", "relation", "kind", "block", "group", "position", "draw"),
    *(f"{run}{metric}" for metric in METRICS for run in ("", "clean_", "corrupted_")),
)
"""Of the tidy table: one line a fact, state and draw."""


@dataclass(frozen=True)
class FactTrace:
    """One fact's scores; M = len(METRICS), D draws, K kinds, L blocks, S sites."""

    fact: str
    person: str
    relation: str
    sites: tuple[Site, ...]
    clean: Scores
    """(M,): the model as it is."""
    corrupted: Scores
    """(D, M): with noise on the subject."""
    restored: Scores
    """(K, L, S, D, M): the same noise, one state put back."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "fact": self.fact,
            "person": self.person,
            "relation": self.relation,
            "sites": [[site.group, list(site.positions)] for site in self.sites],
            "clean": self.clean.tolist(),
            "corrupted": self.corrupted.tolist(),
            "restored": self.restored.tolist(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> "FactTrace":
        """Inverse of `to_json`, to the last bit."""
        return FactTrace(
            value["fact"],
            value["person"],
            value["relation"],
            tuple(Site(group, tuple(positions)) for group, positions in value["sites"]),
            *(np.array(value[key], dtype=np.float64) for key in ("clean", "corrupted", "restored")),
        )


@dataclass(frozen=True)
class TraceResult:
    """All traced facts, and how many were not."""

    kinds: tuple[ModuleKind, ...]
    depth: int
    """Blocks of the model."""
    noise: float
    """Standard deviation of the noise that was added, in the embeddings' own unit."""
    traces: tuple[FactTrace, ...]
    unknown: tuple[str, ...]
    """Ids of facts whose first answer token the model does not give greedily."""
    left_over: int
    """Facts that were not looked at because enough were traced."""

    def tidy(self) -> Iterator[tuple[Any, ...]]:
        """Lines of the tidy table, in the order of `COLUMNS`; position is the last one that was restored."""
        for trace in self.traces:
            for (kind, block, place, draw), _ in np.ndenumerate(trace.restored[..., 0]):
                site = trace.sites[place]
                names = (trace.fact, trace.person, trace.relation, str(self.kinds[kind]), block)
                scores = trace.restored[kind, block, place, draw], trace.clean, trace.corrupted[draw]
                values = (float(score[metric]) for metric in range(len(METRICS)) for score in scores)
                yield (*names, site.group, site.positions[-1], draw, *values)
