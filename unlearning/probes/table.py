"""The results of all probes: the value of each model under each probe, and the share of it that came back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from unlearning.bootstrap import percentile_interval
from unlearning.probes.bootstrap import Estimate, Value, estimate
from unlearning.probes.probe import Described, Measurement

LEAST_GAP = 0.1
"""Least distance of the target's value from the floor. Below it the probe hardly tells the two apart: no share."""
LEAST_RESAMPLES = 0.95
"""Share of the resamples that must have such a gap for a share to have an interval."""


class ModelRole(StrEnum):
    """What a probed model is in the comparison."""

    target = "target"
    """The model before unlearning."""
    unlearned = "unlearned"
    """The model after unlearning."""
    retrained = "retrained"
    """A model that never saw the forget set."""


@dataclass(frozen=True)
class CurvePoint:
    """Mean scores at one point of a curve; see `CurveScores`."""

    effort: int
    asked: Value
    beside: Value | None
    """None where there are no such rows."""


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found in all models."""

    name: str
    title: str
    measure: str
    reason: str | None = None
    """Why the probe does not apply to the unlearned model; None if it does."""
    chance: float = 0.0
    """The value of a model that knows nothing and guesses."""
    rows: int = 0
    documents: int = 0
    values: dict[str, Value] = field(default_factory=dict)
    """The mean score of each model that was measured, by its role."""
    share: Value | None = None
    """The share that was recovered; see `recovered_share`."""
    curves: dict[str, list[CurvePoint]] = field(default_factory=dict)
    """The curve of each model, by its role; empty for a probe that has none."""
    curve_over: str = "steps"
    """What the curves go over."""
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "ProbeResult":
        """Return the result that `asdict` made plain. Raises KeyError or TypeError for anything else."""
        values = {role: Value(**number) for role, number in value["values"].items()}
        curves = {role: [_point(point) for point in points] for role, points in value["curves"].items()}
        return ProbeResult(**{**value, "values": values, "share": _value(value["share"]), "curves": curves})


def make_result(name: str, probe: Described, found: Mapping[ModelRole, Measurement], reason: str | None) -> ProbeResult:
    """Return the probe's result from the measurements of those models that it was run on."""
    if reason is not None or not found:
        return ProbeResult(name, probe.title, probe.measure, reason)
    estimates = {role: estimate(measurement.items) for role, measurement in found.items()}
    first = found.get(ModelRole.unlearned) or next(iter(found.values()))
    return ProbeResult(
        name=name,
        title=probe.title,
        measure=probe.measure,
        chance=first.chance,
        rows=len(first.items),
        documents=len({item.document for item in first.items}),
        values={role.value: estimates[role].value for role in ModelRole if role in estimates},
        share=recovered_share(estimates, first.chance),
        curves={role.value: _curve(found[role]) for role in ModelRole if role in found and found[role].curve},
        curve_over=first.curve_over,
        notes=first.notes,
    )


def recovered_share(estimates: Mapping[ModelRole, Estimate], chance: float) -> Value | None:
    """Return (unlearned - floor) / (target - floor), all under one probe, with its interval over paired resamples.

    The floor is the retrained model's value, or `chance` without a retrained model. At 0 the unlearned model has no
    more than a model that never saw the forget set, at 1 as much as before unlearning. Values below 0 or above 1 are
    not cut off. None where a model is missing, or where the target's value is less than LEAST_GAP above the floor.
    """
    if ModelRole.target not in estimates or ModelRole.unlearned not in estimates:
        return None
    target, unlearned, retrained = (
        estimates.get(role) for role in (ModelRole.target, ModelRole.unlearned, ModelRole.retrained)
    )
    assert target is not None
    assert unlearned is not None
    floor = chance if retrained is None else retrained.mean
    floors = np.full_like(target.resampled, chance) if retrained is None else retrained.resampled
    gap, gaps = target.mean - floor, target.resampled - floors
    if gap < LEAST_GAP:
        return None
    wide = gaps >= LEAST_GAP
    share = (unlearned.mean - floor) / gap
    if wide.mean() < LEAST_RESAMPLES:
        return Value(share, None, None)
    shares = (unlearned.resampled - floors)[wide] / gaps[wide]
    low, high = percentile_interval(shares)
    return Value(share, float(low), float(high))


def table_json(results: Mapping[str, ProbeResult]) -> dict[str, Any]:
    """Return the content of probes.json."""
    return {"least_gap": LEAST_GAP, "probes": [asdict(result) for result in results.values()]}


def read_results(value: Mapping[str, Any]) -> dict[str, ProbeResult]:
    """Return the results in a probes.json, by the probe's name. Raises KeyError or TypeError for anything else."""
    return {result.name: result for result in map(ProbeResult.from_json, value["probes"])}


CSV_COLUMNS = [
    *("probe", "measure", "rows", "documents", "chance"),
    *(f"{role}{end}" for role in ModelRole for end in ("", "_low", "_high")),
    *("recovered", "recovered_low", "recovered_high", "does_not_apply"),
]


def csv_row(result: ProbeResult) -> list[object]:
    """Return the result's row of probes.csv; a cell without a number is empty."""
    numbers: list[object] = []
    for value in (*(result.values.get(role.value) for role in ModelRole), result.share):
        numbers += ["", "", ""] if value is None else [value.value, value.low, value.high]
    return [result.name, result.measure, result.rows, result.documents, result.chance, *numbers, result.reason or ""]


def _curve(measurement: Measurement) -> list[CurvePoint]:
    return [
        CurvePoint(point.effort, estimate(point.asked).value, estimate(point.beside).value if point.beside else None)
        for point in measurement.curve
    ]


def _point(value: dict[str, Any]) -> CurvePoint:
    return CurvePoint(value["effort"], Value(**value["asked"]), _value(value["beside"]))


def _value(value: dict[str, Any] | None) -> Value | None:
    return None if value is None else Value(**value)
