"""Reads the larger artefacts of a run; each may be missing, for a report is also made of half a run."""

import csv
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unlearning.config.trace import Corruption, Direction, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.effects import Effects
from unlearning.mediation.layers import LEFT_OUT, read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import Restoration
from unlearning.report.runs import read_mapping

_NOT_MEASURED: dict[str, Any] = {"intervals": {}, "cloze": [], "letters": [], "items": {}}
_NO_SIGNS = dict.fromkeys(("zlib", "min_k", "min_k_plus"), math.nan)


@dataclass(frozen=True)
class Curve:
    """Columns of loss_curve.csv; NaN where a step had no such rows."""

    step: list[float] = field(default_factory=list)
    phase: list[float] = field(default_factory=list)
    forget_loss_nats: list[float] = field(default_factory=list)
    retain_loss_nats: list[float] = field(default_factory=list)
    retain_weight: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Tracing:
    """What layers.json says: the choice of layers with all effects, and how they were measured."""

    selection: Selection
    model: str
    mode: TraceMode
    corruption: Corruption
    direction: Direction
    tokens: TracedTokens
    runs: int
    """Corrupted runs a fact."""
    noise_share: float | None
    """See `fact_effects.noise_share`."""
    counts: dict[str, int]
    """Facts traced, of how many persons, and those left out by reason."""
    shares: dict[str, float]
    """By kind of part: its share of all parameters, in the chosen layers."""
    screening: dict[str, float | None] | None
    """Rank correlation of estimated with exact mean effects by restoration; None where all effects are exact."""

    @property
    def effects(self) -> Effects:
        """Those in the metric that decided."""
        return next(item for item in self.selection.effects if item.metric is self.selection.metric)

    @property
    def deciding(self) -> Restoration:
        """The one whose effects chose the layers."""
        return Restoration(self.selection.module, self.selection.window)


def read_curve(run_dir: Path) -> Curve | None:
    """The loss curve; None where there is none."""
    try:
        with (run_dir / "loss_curve.csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error):
        return None
    if not rows:
        return None
    names = ("step", "phase", "forget_loss_nats", "retain_loss_nats", "retain_weight")
    return Curve(**{name: [_number(row.get(name)) for row in rows] for name in names})


def read_evaluation(run_dir: Path, model: str) -> EvaluationResult | None:
    """Of "unlearned", "target" or "retrained"; None where it was not made or cannot be read.

    What an earlier version did not measure is empty, and NaN in a document's score.
    """
    try:
        found = read_mapping(run_dir / "evaluation" / f"{model}.json")
        found["membership"] = [{**_NO_SIGNS, **item} for item in found["membership"]]
        result = EvaluationResult.from_json({**_NOT_MEASURED, **found})
        return replace(result, intervals={key: ends for key, ends in result.intervals.items() if None not in ends})
    except (AttributeError, InputError, KeyError, TypeError):
        return None


def read_tracing(run_dir: Path) -> Tracing | None:
    """From layers.json; None where the run did not trace, or the file is of another make."""
    try:
        return load_tracing(run_dir)
    except InputError:
        return None


def load_tracing(run_dir: Path) -> Tracing:
    """From layers.json. Raises InputError, naming the file, where it is missing or of another make."""
    path = run_dir / "layers.json"
    selection, value = read_layers(path), read_mapping(path)
    try:
        tracing = Tracing(
            selection=selection,
            model=str(value["model"]),
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
    """provenance.json; empty where there is none."""
    try:
        return read_mapping(run_dir / "provenance.json")
    except InputError:
        return {}


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
