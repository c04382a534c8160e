"""Reads the larger artefacts of a run; each may be missing, for a report is also made of half a run."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame, read_csv, to_numeric

from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.tracing import Tracing, load_tracing
from unlearning.report.runs import read_mapping

CURVE = ("step", "phase", "forget_loss_nats", "retain_loss_nats", "retain_weight")


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


def read_provenance(run_dir: Path) -> dict[str, Any]:
    """Return the content of provenance.json; empty where there is none."""
    try:
        return read_mapping(run_dir / "provenance.json")
    except InputError:
        return {}
