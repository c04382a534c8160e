"""Reads the larger artefacts of a run; each may be missing, for a report is also made of half a run."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pandas import DataFrame, read_csv, to_numeric

from unlearning.config.trace import Corruption, Direction, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.effects import Effects
from unlearning.mediation.layers import LEFT_OUT, read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration
from unlearning.report.runs import read_mapping

CURVE = ("step", "phase", "forget_loss_nats", "retain_loss_nats", "retain_weight")


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


def read_curve(run_dir: Path) -> DataFrame | None:
    """Return the columns of loss_curve.csv, NaN where a step had no such rows; None where there is no curve."""
    try:
        curve = read_csv(run_dir / "loss_curve.csv")
    except (OSError, ValueError):
        return None
    curve = curve.reindex(columns=CURVE).apply(to_numeric, errors="coerce")
    return curve.replace([math.inf, -math.inf], math.nan) if len(curve) else None


def read_evaluation(run_dir: Path, model: str) -> EvaluationResult | None:
    """Return the evaluation of "unlearned", "target" or "retrained"; None where it was not made or cannot be read."""
    try:
        result = EvaluationResult.from_json(read_mapping(run_dir / "evaluation" / f"{model}.json"))
        return replace(result, intervals={key: ends for key, ends in result.intervals.items() if None not in ends})
    except (AttributeError, InputError, KeyError, TypeError):
        return None


def read_tracing(run_dir: Path) -> Tracing | None:
    """Return what layers.json says; None where the run did not trace, or the file cannot be read as such."""
    try:
        return load_tracing(run_dir)
    except InputError:
        return None


def load_tracing(run_dir: Path) -> Tracing:
    """Return what layers.json says. Raises InputError, naming the file, where it is missing or not such a file."""
    path = run_dir / "layers.json"
    selection, value = read_layers(path), read_mapping(path)
    try:
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


def read_provenance(run_dir: Path) -> dict[str, Any]:
    """Return the content of provenance.json; empty where there is none."""
    try:
        return read_mapping(run_dir / "provenance.json")
    except InputError:
        return {}
