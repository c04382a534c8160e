"""Reads the larger artefacts of a run; each may be missing, for a report is also made of half a run."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.runs import read_mapping


@dataclass(frozen=True)
class Curve:
    """Columns of loss_curve.csv; NaN where a step had no such rows."""

    step: list[float] = field(default_factory=list)
    phase: list[float] = field(default_factory=list)
    forget_loss_nats: list[float] = field(default_factory=list)
    retain_loss_nats: list[float] = field(default_factory=list)
    retain_weight: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class KindEffects:
    """Indirect effect of restoring one kind of module, for each block, with its interval."""

    kind: str
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Tracing:
    """What causal tracing found, in the metric that decided, and which blocks were chosen."""

    kinds: list[KindEffects]
    metric: str
    total: tuple[float, float, float] | None
    """Effect of the corruption, which a restoration can undo at most: mean and interval."""
    blocks: list[int]
    module: str
    """Kind of module whose effects chose the blocks."""
    rule: str


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
    """Of "unlearned", "target" or "gold"; None where it was not made or cannot be read."""
    try:
        return EvaluationResult.from_json(read_mapping(run_dir / "evaluation" / f"{model}.json"))
    except (InputError, KeyError, TypeError):
        return None


def read_tracing(run_dir: Path) -> Tracing | None:
    """From layers.json; None where the run did not trace, or the file is of another make."""
    try:
        value = read_mapping(run_dir / "layers.json")
    except InputError:
        return None
    try:
        effects = next(item for item in value["effects"] if item["metric"] == value["metric"])
        return Tracing(
            kinds=[_kind_effects(item) for item in effects["kinds"]],
            metric=str(value["metric"]),
            total=_interval(effects.get("total")),
            blocks=list(map(int, value["blocks"])),
            module=str(value["module"]),
            rule=str(value["rule"]),
        )
    except (KeyError, TypeError, ValueError, StopIteration):
        return None


def read_provenance(run_dir: Path) -> dict[str, Any]:
    """provenance.json; empty where there is none."""
    try:
        return read_mapping(run_dir / "provenance.json")
    except InputError:
        return {}


def _kind_effects(value: dict[str, Any]) -> KindEffects:
    columns = {name: [_number(item) for item in value[name]] for name in ("mean", "low", "high")}
    return KindEffects(kind=str(value["kind"]), **columns)


def _interval(value: dict[str, Any] | None) -> tuple[float, float, float] | None:
    return None if value is None else (_number(value["mean"]), _number(value["low"]), _number(value["high"]))


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
