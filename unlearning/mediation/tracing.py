"""What a trace left in layers.json: the choice of layers with all effects, and how they were measured."""

import json
from dataclasses import dataclass
from pathlib import Path

from unlearning.config.trace import Corruption, Direction, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.effects import Effects
from unlearning.mediation.layers import LEFT_OUT, read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration


@dataclass(frozen=True)
class Tracing:
    """What layers.json says: the choice of layers with all effects, and how they were measured."""

    selection: Selection
    mode: TraceMode
    corruption: Corruption
    direction: Direction
    tokens: TracedTokens
    runs: int
    """Corrupted runs of each fact."""
    noise_share: float | None
    """See `fact_effects.noise_share`."""
    counts: dict[str, int]
    """The number of facts traced, of their persons, and of the facts left out by reason."""
    shares: dict[str, float]
    """The share of each kind of part in all parameters, in the chosen layers."""
    screening: dict[str, float | None] | None
    """Rank correlation of estimated with exact mean effects by restoration; None where all effects are exact."""

    @property
    def effects(self) -> Effects:
        """Return the effects in the metric that decided."""
        return next(item for item in self.selection.effects if item.metric is self.selection.metric)

    @property
    def deciding(self) -> Restoration:
        """Return the restoration whose effects chose the layers."""
        return Restoration(self.selection.module, self.selection.window)


def load_tracing(run_dir: Path) -> Tracing:
    """Return what layers.json says. Raises InputError, naming the file, where it is missing or not such a file."""
    path = run_dir / "layers.json"
    selection = read_layers(path)
    try:
        value = json.loads(path.read_bytes())
        tracing = Tracing(
            selection=selection,
            mode=TraceMode(value["mode"]),
            corruption=Corruption(value["corruption"]),
            direction=Direction(value["direction"]),
            tokens=TracedTokens(value["tokens"]),
            runs=int(value["draws"]),
            noise_share=None if value["noise_share"] is None else float(value["noise_share"]),
            counts={name: int(value["counts"][name]) for name in ("traced", "persons", *LEFT_OUT, "not_needed")},
            shares={kind: float(part["share"]) for kind, part in value["parameters"].items()},
            screening=dict(value["screening"]["correlation_of_means"]) if value["screening"] else None,
        )
        tracing.effects.of(tracing.deciding)
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a layers.json of a trace: {type(error).__name__} {error}") from error
    return tracing
