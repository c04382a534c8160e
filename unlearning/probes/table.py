"""One table of all probes: what each found in each model, and which share of it unlearning had not taken away."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from unlearning.bootstrap import percentile_interval
from unlearning.probes.bootstrap import Estimate, Value, estimate
from unlearning.probes.probe import Measurement, Probe

LEAST_GAP = 0.1
"""Of the target's value over the floor. Where it is smaller, the probe hardly tells the two apart: no share."""
LEAST_RESAMPLES = 0.95
"""Share of the resamples that must have such a gap for a share to have an interval."""


class ModelRole(StrEnum):
    """Which model."""

    target = "target"
    """Before unlearning."""
    unlearned = "unlearned"
    retrained = "retrained"
    """One that never saw the forget set."""


@dataclass(frozen=True)
class CurvePoint:
    """Knowledge after so many steps of relearning."""

    steps: int
    held_out: Value
    """Of documents that were not trained on."""
    trained: Value | None
    """Of those that were; None where there are none."""


@dataclass(frozen=True)
class ProbeResult:
    """One probe."""

    name: str
    title: str
    measure: str
    reason: str | None = None
    """Why the probe does not apply to the unlearned model; None: it does."""
    chance: float = 0.0
    rows: int = 0
    documents: int = 0
    values: dict[str, Value] = field(default_factory=dict)
    """By role, those that are measured."""
    share: Value | None = None
    """Recovered: (unlearned - floor) / (target - floor), not cut off at 0 or 1."""
    curves: dict[str, list[CurvePoint]] = field(default_factory=dict)
    """By role, of a probe that trains."""
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "ProbeResult":
        """Inverse of `asdict`. Raises KeyError or TypeError for anything else."""
        values = {role: Value(**number) for role, number in value["values"].items()}
        curves = {role: [_point(point) for point in points] for role, points in value["curves"].items()}
        return ProbeResult(**{**value, "values": values, "share": _value(value["share"]), "curves": curves})


def make_result(name: str, probe: Probe, found: Mapping[ModelRole, Measurement], reason: str | None) -> ProbeResult:
    """The probe's line from the measurements that are there."""
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
        notes=first.notes,
    )


def recovered_share(estimates: Mapping[ModelRole, Estimate], chance: float) -> Value | None:
    """(unlearned - floor) / (target - floor), all under the same probe, with the interval over paired resamples.

    The floor is the retrained model's value, or `chance` without a retrained model. 0: no more than a model that never
    saw the forget set; 1: as much as before unlearning. Not clipped. None where a model is missing, or where the
    target's value is not LEAST_GAP above the floor.
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


def table_json(lines: Mapping[str, ProbeResult]) -> dict[str, Any]:
    """The content of probes.json."""
    return {"least_gap": LEAST_GAP, "probes": [asdict(line) for line in lines.values()]}


def read_results(value: Mapping[str, Any]) -> dict[str, ProbeResult]:
    """Inverse of `table_json`, by name. Raises KeyError or TypeError for anything else."""
    return {line.name: line for line in map(ProbeResult.from_json, value["probes"])}


CSV_COLUMNS = [
    *("probe", "measure", "rows", "documents", "chance"),
    *(f"{role}{end}" for role in ModelRole for end in ("", "_low", "_high")),
    *("recovered", "recovered_low", "recovered_high", "does_not_apply"),
]


def csv_row(line: ProbeResult) -> list[object]:
    """A line of probes.csv; empty where there is no number."""
    numbers: list[object] = []
    for value in (*(line.values.get(role.value) for role in ModelRole), line.share):
        numbers += ["", "", ""] if value is None else [value.value, value.low, value.high]
    return [line.name, line.measure, line.rows, line.documents, line.chance, *numbers, line.reason or ""]


def _curve(measurement: Measurement) -> list[CurvePoint]:
    return [
        CurvePoint(look.steps, estimate(look.held_out).value, estimate(look.trained).value if look.trained else None)
        for look in measurement.curve
    ]


def _point(value: dict[str, Any]) -> CurvePoint:
    return CurvePoint(value["steps"], Value(**value["held_out"]), _value(value["trained"]))


def _value(value: dict[str, Any] | None) -> Value | None:
    return None if value is None else Value(**value)
