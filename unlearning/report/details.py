"""Reads the larger artefacts of a run; each may be missing, for a report is also made of half a run."""

import csv
import json
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
class Effect:
    """Indirect effect of restoring one kind of module in one block, with its interval."""

    kind: str
    block: int
    indirect_effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Tracing:
    """What causal tracing found, and which blocks it chose."""

    effects: list[Effect]
    blocks: list[int]
    kind: str | None
    """Kind of module whose effects chose the blocks."""
    rule: str | None


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
    """From layers.json; None where the run did not trace."""
    try:
        value = read_mapping(run_dir / "layers.json")
    except InputError:
        return None
    records = value.get("effects")
    effects = [effect for record in records if (effect := _effect(record))] if isinstance(records, list) else []
    blocks = value.get("blocks")
    return Tracing(
        effects=effects,
        blocks=[block for block in blocks if isinstance(block, int)] if isinstance(blocks, list) else [],
        kind=_first_text(value, "kind", "select", "module_kind"),
        rule=_first_text(value, "rule"),
    )


def read_provenance(run_dir: Path) -> dict[str, Any]:
    """provenance.json; empty where there is none."""
    try:
        return read_mapping(run_dir / "provenance.json")
    except InputError:
        return {}


def _effect(record: object) -> Effect | None:
    if not isinstance(record, dict):
        return None
    effect, block = _number(record.get("indirect_effect")), record.get("block")
    if math.isnan(effect) or not isinstance(block, int):
        return None
    low, high = _number(record.get("low")), _number(record.get("high"))
    return Effect(
        kind=str(record.get("kind", "")),
        block=block,
        indirect_effect=effect,
        low=effect if math.isnan(low) else low,
        high=effect if math.isnan(high) else high,
    )


def _first_text(value: dict[str, Any], *keys: str) -> str | None:
    found = [value[key] for key in keys if value.get(key) is not None]
    if not found:
        return None
    return found[0] if isinstance(found[0], str) else json.dumps(found[0])


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
