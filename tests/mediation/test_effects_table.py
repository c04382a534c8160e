"""The table effects.parquet has one line for each score, and its numbers are those of the traces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.mediation.fabricated import fact_trace, result_of
from unlearning.config.scope import ModuleKind
from unlearning.mediation.effects_table import COLUMNS, NAMES, lines, write_table
from unlearning.mediation.result import METRICS, FactTrace, TraceResult
from unlearning.mediation.states import Restoration, Site

GRID = (Site("first_subject", (2,)), Site("last_subject", (3,)), Site("last", (7,)))
RESTORATIONS = (
    Restoration(ModuleKind.layer),
    Restoration(ModuleKind.mlp, 3),
    Restoration(ModuleKind.layer, severed=ModuleKind.attention),
)
DRAWS, DEPTH = 2, 4


def made(
    name: str, sites: tuple[Site, ...], seed: int, placebo: bool, foil: bool = True, draws: int = DRAWS
) -> FactTrace:
    """Return numbers that are all different."""
    generator = np.random.default_rng(seed)
    shape = (len(RESTORATIONS), DEPTH, len(sites), draws)
    wrong = generator.normal(size=(len(RESTORATIONS), DEPTH, draws)) if placebo else None
    return fact_trace(
        name,
        f"person {name}",
        generator.normal(),
        generator.normal(size=draws).tolist(),
        generator.normal(size=shape),
        relation=f"relation {name}",
        sites=sites,
        placebo=wrong,
        foil=foil,
    )


GRIDDED = made("a", GRID, 0, placebo=True)
BARE = made("b", GRID[1:], 1, placebo=False, foil=False)
RESULT = result_of(GRIDDED, BARE, restorations=RESTORATIONS)


def read(path: Path, result: TraceResult = RESULT) -> list[dict[str, Any]]:
    write_table(path, result)
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def test_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "effects.parquet", RESULT)
    table = parquet.read_table(tmp_path / "effects.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert COLUMNS[: len(NAMES)] == tuple(NAMES)
    assert COLUMNS[len(NAMES) :] == (
        *("probability", "clean_probability", "corrupted_probability"),
        *("log_probability", "clean_log_probability", "corrupted_log_probability"),
        *("logit_difference", "clean_logit_difference", "corrupted_logit_difference"),
        *("answer_log_probability", "clean_answer_log_probability", "corrupted_answer_log_probability"),
    )
    types = {name: str(table.schema.field(name).type) for name in COLUMNS}
    assert {types[name] for name in ("fact", "person", "relation", "kind", "severed", "group")} == {"string"}
    assert {types[name] for name in ("window", "layer", "position", "draw")} == {"int64"}
    assert types["placebo"] == "bool"
    assert {types[name] for name in COLUMNS[len(NAMES) :]} == {"double"}


def test_a_line_for_each_score_and_each_once(tmp_path: Path) -> None:
    rows = read(tmp_path / "effects.parquet")
    states = len(RESTORATIONS) * DEPTH * DRAWS
    assert len(rows) == states * (3 + 1 + 2)
    assert sum(row["placebo"] for row in rows) == states
    assert len({tuple(row[name] for name in NAMES) for row in rows}) == len(rows)
    assert len(list(lines(RESULT))) == len(rows)


def test_values_are_those_of_the_traces(tmp_path: Path) -> None:
    """The scores of every line are those of the state that the line names."""
    traces = {trace.fact: trace for trace in RESULT.traces}
    for row in read(tmp_path / "effects.parquet"):
        trace = traces[row["fact"]]
        assert (row["person"], row["relation"]) == (trace.person, trace.relation)
        severed = None if row["severed"] is None else ModuleKind(row["severed"])
        place = RESTORATIONS.index(Restoration(ModuleKind(row["kind"]), row["window"], severed))
        (site,) = (n for n, site in enumerate(trace.sites) if (site.group, site.positions[-1]) == spot(row))
        if row["placebo"]:
            assert trace.placebo is not None
            assert row["group"] == "last_subject"
            scores = trace.placebo[place, row["layer"], row["draw"]]
        else:
            scores = trace.patched[place, row["layer"], site, row["draw"]]
        for number, metric in enumerate(METRICS):
            found = [row[f"{run}{metric}"] for run in ("", "clean_", "corrupted_")]
            wanted = [scores[number], trace.clean[number], trace.corrupted[row["draw"], number]]
            # Equal to the last bit, and null where there is no number.
            assert found == [None if np.isnan(value) else value for value in wanted]


def spot(row: dict[str, Any]) -> tuple[str, int]:
    return row["group"], row["position"]


def test_nulls(tmp_path: Path) -> None:
    rows = read(tmp_path / "effects.parquet")
    missing = {(row["fact"], name) for row in rows for name in COLUMNS if row[name] is None}
    runs = ("", "clean_", "corrupted_")
    assert missing == {("a", "severed"), ("b", "severed"), *(("b", f"{run}logit_difference") for run in runs)}


def test_a_site_of_several_tokens_is_named_by_its_last(tmp_path: Path) -> None:
    result = result_of(made("a", (Site("subject", (2, 3, 4)),), 0, placebo=True), restorations=RESTORATIONS)
    assert {spot(row) for row in read(tmp_path / "effects.parquet", result)} == {("subject", 4)}


def test_exchanged_weights_have_no_position(tmp_path: Path) -> None:
    result = result_of(made("a", (Site("weights", ()),), 0, placebo=False, draws=1), restorations=RESTORATIONS)
    rows = read(tmp_path / "effects.parquet", result)
    assert {spot(row) for row in rows} == {("weights", None)}
    assert len(rows) == len(RESTORATIONS) * DEPTH


@pytest.mark.parametrize("column", ["severed", "position", "logit_difference", "clean_logit_difference"])
def test_columns_keep_their_types_where_nothing_is_in_them(column: str, tmp_path: Path) -> None:
    """The types do not depend on the values, so that the tables of several runs can be joined."""
    sites = (Site("weights", ()),)
    restoration = (Restoration(ModuleKind.mlp),)
    bare = fact_trace("a", "a", 0.0, [0.0], np.zeros((1, DEPTH, 1, 1)), sites=sites, foil=False)
    write_table(tmp_path / "bare.parquet", result_of(bare, restorations=restoration))
    write_table(tmp_path / "full.parquet", RESULT)
    bare_type, full_type = (
        parquet.read_schema(tmp_path / f"{name}.parquet").field(column).type for name in ("bare", "full")
    )
    assert bare_type == full_type


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "effects.parquet"
    path.write_text("before")
    broken = result_of(made("a", GRID, 0, placebo=True), restorations=RESTORATIONS[:1])
    with pytest.raises(IndexError):
        write_table(path, broken)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
