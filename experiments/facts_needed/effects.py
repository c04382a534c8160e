"""Reads the effects of each fact from the effects.parquet of unlearn-trace."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from unlearning.bootstrap import Values
from unlearning.mediation.person_bootstrap import BootstrapMean, PersonBootstrap

METRIC = "answer_log_probability"
"""The metric that the rules read, in nats a token."""


@dataclass(frozen=True)
class Facts:
    """Effects of N facts on a model of L layers, averaged over corrupted runs, in the order of the facts' ids."""

    ids: NDArray[np.str_]
    persons: NDArray[np.str_]
    relations: NDArray[np.str_]
    total: Values
    """Total effect (N,): clean - corrupted score."""
    effect: dict[str, Values]
    """Kind of module, such as "mlp", or "layer without mlp" if that path is severed -> (N, L): patched - corrupted."""
    placebo: dict[str, Values]
    """The same with the states of another person's question; NaN for facts that have no placebo."""

    def subset(self, chosen: Sequence[int] | NDArray[np.int_]) -> "Facts":
        """Return the chosen facts; one fact may be chosen several times."""
        return Facts(
            self.ids[chosen],
            self.persons[chosen],
            self.relations[chosen],
            self.total[chosen],
            {kind: values[chosen] for kind, values in self.effect.items()},
            {kind: values[chosen] for kind, values in self.placebo.items()},
        )

    def bootstrap(self) -> PersonBootstrap:
        """Return the bootstrap over the persons of these facts."""
        return PersonBootstrap(list(self.persons), list(self.relations))

    def means(self, kind: str) -> tuple[BootstrapMean, BootstrapMean | None]:
        """Return the mean effect of a kind (L,), and the mean difference to the placebo (None without a placebo)."""
        draws = self.bootstrap()
        effect, placebo = self.effect[kind], self.placebo.get(kind)
        if placebo is None or np.isnan(placebo).all():
            return draws.means(effect), None
        return draws.means(effect), draws.means(effect - placebo)


def read_facts(*paths: Path) -> Facts:
    """Return the facts of one or more traces put together.

    The traces must be of the same model by the same settings: denoising, one site for each fact.
    """
    parts = [_read(path) for path in paths]
    joined = Facts(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "persons", "relations", "total")),
        *(_join([getattr(part, name) for part in parts]) for name in ("effect", "placebo")),
    )
    return joined.subset(np.argsort(joined.ids))


def _read(path: Path) -> Facts:
    """Return the facts of one trace."""
    scores = ("", "clean_", "corrupted_")
    names = ["fact", "person", "relation", "kind", "severed", "layer", "placebo", *(run + METRIC for run in scores)]
    cells: dict[tuple[str, str, bool, int], list[float]] = defaultdict(list)
    total: dict[str, list[float]] = defaultdict(list)
    about: dict[str, tuple[str, str]] = {}
    columns = parquet.read_table(path, columns=names).to_pydict()
    for fact, person, relation, kind, severed, layer, placebo, patched, clean, corrupted in zip(
        *(columns[name] for name in names), strict=True
    ):
        label = f"{kind} without {severed}" if severed else kind
        cells[fact, label, placebo, layer].append(patched - corrupted)
        total[fact].append(clean - corrupted)
        about[fact] = person, relation
    ids, depth = sorted(about), 1 + max(columns["layer"])
    tables = {
        own: {
            label: np.array([[_mean(cells.get((fact, label, own, layer))) for layer in range(depth)] for fact in ids])
            for label in dict.fromkeys(key[1] for key in cells if key[2] == own)
        }
        for own in (False, True)
    }
    persons, relations = (np.array([about[fact][place] for fact in ids]) for place in (0, 1))
    totals = np.array([_mean(total[fact]) for fact in ids])
    return Facts(np.array(ids), persons, relations, totals, tables[False], tables[True])


def _mean(values: list[float] | None) -> float:
    """Return the mean, or NaN if nothing was measured."""
    return float(np.mean(values)) if values else float("nan")


def _join(parts: Sequence[dict[str, Values]]) -> dict[str, Values]:
    """Return the effects of several traces as one table for each kind."""
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
