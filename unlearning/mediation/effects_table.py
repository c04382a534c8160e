"""The table of all scores, effects.parquet: one line for each fact, state and corrupted run."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from unlearning.artefacts import write_bytes
from unlearning.mediation.result import METRICS, FactTrace, Scores, TraceResult

TEXT, NUMBER = pyarrow.string(), pyarrow.int64()
NAMES = {
    **{"fact": TEXT, "person": TEXT, "relation": TEXT, "kind": TEXT, "window": NUMBER, "severed": TEXT},
    **{"layer": NUMBER, "group": TEXT, "position": NUMBER, "placebo": pyarrow.bool_(), "draw": NUMBER},
}
"""Types of the columns that say what was patched. The position is the site's last one; it is null for weights."""
SCORES = tuple(f"{run}{metric}" for metric in METRICS for run in ("", "clean_", "corrupted_"))
COLUMNS = (*NAMES, *SCORES)
SCHEMA = pyarrow.schema({**NAMES, **dict.fromkeys(SCORES, pyarrow.float64())})
"""The types do not depend on the values, so that the tables of several runs can be joined."""


def write_table(path: Path, result: TraceResult) -> None:
    """Write the table as Parquet, atomically; a score that is not a number is null."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for line in lines(result):
        for name, value in zip(COLUMNS, line, strict=True):
            columns[name].append(None if value != value else value)
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns, schema=SCHEMA), buffer)
    write_bytes(path, buffer.getvalue())


def lines(result: TraceResult) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of the table, in the order of `COLUMNS`: every fact's states, then its placebo's."""
    for trace in result.traces:
        for place, site in enumerate(trace.sites):
            position = site.positions[-1] if site.positions else None
            yield from _site_lines(result, trace, trace.patched[:, :, place], site.group, position, False)
        if trace.placebo is not None:
            site = trace.deciding_site
            yield from _site_lines(result, trace, trace.placebo, site.group, site.positions[-1], True)


def _site_lines(
    result: TraceResult, trace: FactTrace, scores: Scores, group: str, position: int | None, placebo: bool
) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of one site's scores (R, L, D, M)."""
    for (place, layer, draw), _ in np.ndenumerate(scores[..., 0]):
        restoration = result.restorations[place]
        severed = None if restoration.severed is None else str(restoration.severed)
        values = (
            float(score[metric])
            for metric in range(len(METRICS))
            for score in (scores[place, layer, draw], trace.clean, trace.corrupted[draw])
        )
        names = (trace.fact, trace.person, trace.relation, str(restoration.kind), restoration.window, severed)
        yield (*names, layer, group, position, placebo, draw, *values)
