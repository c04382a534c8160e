"""Recovered shares, their intervals and the formats of the table, by hand."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from unlearning.bootstrap import RESAMPLES
from unlearning.config.probe import Measured
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.bootstrap import Estimate, estimate
from unlearning.probes.probe import CurveScores, Measurement, RowScore
from unlearning.probes.table import (
    CSV_COLUMNS,
    ModelRole,
    csv_row,
    make_result,
    read_results,
    recovered_share,
    table_json,
)

PROBE = AdapterRemoved(Measured.knowledge)


def items(scores: dict[str, list[float]]) -> list[RowScore]:
    """Return the scores of the rows of each document."""
    return [RowScore(f"{name}{place}", name, score) for name, own in scores.items() for place, score in enumerate(own)]


def fixed(mean: float) -> Estimate:
    """Return an estimate that is the same in every resample."""
    return Estimate(mean, np.full(RESAMPLES, mean))


def share(target: float, unlearned: float, retrained: float | None, chance: float = 0.0) -> float | None:
    """Return the share recovered from the means of three models."""
    means = {ModelRole.target: target, ModelRole.unlearned: unlearned} | (
        {} if retrained is None else {ModelRole.retrained: retrained}
    )
    found = recovered_share({role: fixed(mean) for role, mean in means.items()}, chance)
    return None if found is None else found.value


def test_the_share_by_hand() -> None:
    """(0.4 - 0.2) / (0.9 - 0.2) = 2/7.

    Without a retrained model the floor is chance: (0.4 - 0.25) / (0.9 - 0.25) = 3/13.
    """
    assert share(0.9, 0.4, 0.2) == pytest.approx(2 / 7)
    assert share(0.9, 0.4, None, chance=0.25) == pytest.approx(3 / 13)
    assert share(0.9, 0.4, 0.2, chance=0.25) == pytest.approx(2 / 7)


def test_the_share_is_not_cut_off() -> None:
    """The shares are (0.1 - 0.2) / 0.8 = -1/8 and (1 - 0.2) / (0.6 - 0.2) = 2."""
    assert share(1.0, 0.1, 0.2) == pytest.approx(-1 / 8)
    assert share(0.6, 1.0, 0.2) == pytest.approx(2)


def test_no_share_without_a_gap_or_a_model() -> None:
    """A gap of 1/8 is more than the tenth that is needed; 1/16 is not, and neither is a gap below 0."""
    assert share(0.625, 0.5, 0.5) == 0.0
    assert share(0.5625, 0.5, 0.5) is None
    assert share(0.2, 0.5, 0.5) is None
    assert recovered_share({ModelRole.unlearned: fixed(0.5), ModelRole.retrained: fixed(0.1)}, 0.0) is None
    assert recovered_share({ModelRole.target: fixed(0.5)}, 0.0) is None


def test_a_share_without_an_interval() -> None:
    """A share has no interval if 10% of the resamples have no gap."""
    gaps = np.where(np.arange(RESAMPLES) % 10 == 0, 0.0, 0.5)
    found = recovered_share({ModelRole.target: Estimate(0.5, gaps), ModelRole.unlearned: fixed(0.1)}, 0.0)
    assert found is not None
    assert (found.value, found.low, found.high) == (pytest.approx(0.2), None, None)


def test_the_mean_is_over_rows_and_documents_are_drawn() -> None:
    """Of two documents one has a row of 1, the other three rows of 0: a resample has the mean 1, 0 or 1/4."""
    found = estimate(items({"a": [1.0], "b": [0.0, 0.0, 0.0]}))
    assert found.mean == 0.25
    assert set(found.resampled) == {0.0, 0.25, 1.0}
    # Each is drawn twice in a quarter of the resamples, within four standard errors of 2,000 draws.
    assert (found.resampled == 1.0).mean() == pytest.approx(0.25, abs=0.04)


def test_models_are_drawn_together() -> None:
    """The unlearned model has half of the target's score in each document, so the share is always 1/2."""
    target = items({str(number): [number / 10] for number in range(1, 10)})
    half = [RowScore(item.id, item.document, item.score / 2) for item in reversed(target)]
    found = recovered_share({ModelRole.target: estimate(target), ModelRole.unlearned: estimate(half)}, 0.0)
    assert found is not None
    assert found.value == found.low == found.high == pytest.approx(0.5)


def test_a_line_survives_its_file() -> None:
    """A result survives as JSON, and has one cell for each column of the CSV file."""
    scores = items({"a": [1.0, 0.0], "b": [1.0]})
    measurement = Measurement(
        scores, 0.25, [CurveScores(0, scores, []), CurveScores(3, scores, scores)], "samples", ["a note"]
    )
    line = make_result("probe", PROBE, {ModelRole.target: measurement, ModelRole.unlearned: measurement}, None)
    assert (line.rows, line.documents, line.chance, line.notes) == (3, 2, 0.25, ["a note"])
    assert [point.beside is None for point in line.curves["unlearned"]] == [True, False]
    assert line.share is not None
    assert line.share.value == 1.0
    refused = make_result("other", PROBE, {}, "no rows")
    lines = {"probe": line, "other": refused}
    assert read_results(json.loads(json.dumps(table_json(lines)))) == lines
    assert all(len(csv_row(one)) == len(CSV_COLUMNS) for one in lines.values())
    assert csv_row(refused)[-1] == "no rows"


def test_a_measurement_survives_its_file() -> None:
    """A measurement survives in the form of the cache."""
    scores = items({"a": [0.5]})
    found = Measurement(scores, 0.5, [CurveScores(1, scores, scores)], "samples", ["x"])
    assert Measurement.from_json(json.loads(json.dumps(asdict(found)))) == found
