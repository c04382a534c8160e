"""A whole trace, from rows to files, in every mode."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from tests.mediation.builders import close, deep_model
from tests.mediation.trace_bench import (
    ANSWER,
    CONFIG,
    DEPTH,
    FILES,
    RETAIN,
    ROWS,
    Bench,
    content,
    files_of,
)
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, SelectionRule, TracedSplit, TracedTokens, TraceMode
from unlearning.data.rows import Kind
from unlearning.mediation import trace as tracing_module
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.layers import read_layers
from unlearning.mediation.result import METRICS, LayerGradients, Metric
from unlearning.mediation.screening import screening
from unlearning.mediation.trace import EFFECTS, FINISHED, FINISHED_EXACT, LAYERS

pytestmark = pytest.mark.usefixtures("without_self_test")


def test_files_hold_what_was_found(bench: Bench, tmp_path: Path) -> None:
    traced = bench.traced(tmp_path)
    assert set(files_of(tmp_path)) == set(FILES)
    selection, result = traced.selection, traced.result
    assert len(selection.layers) == 1
    assert read_layers(tmp_path / LAYERS) == read_layers(tmp_path / LAYERS, DEPTH) == selection
    written = content(tmp_path)
    names = [f"model.layers.{selection.layers[0]}.mlp.{name}_proj.weight" for name in ("gate", "up", "down")]
    assert written["parameters"]["mlp"]["names"] == names
    total = sum(parameter.numel() for parameter in bench.model.parameters())
    assert written["parameters"]["mlp"]["share"] == pytest.approx(3 * 32 * 48 / total)
    assert written["counts"]["traced"] == len(result.traces) == 6
    assert written["counts"]["persons"] == len({trace.person for trace in result.traces}) == 4
    assert set(written["baselines"]) == {"random", "first", "middle", "last", "gradient", "fisher"}
    rows = parquet.read_table(tmp_path / EFFECTS).to_pylist()
    states = 3 * DEPTH * 2
    placebos = sum(trace.placebo is not None for trace in result.traces)
    assert placebos
    assert len(rows) == states * (6 + placebos)
    assert all(row["clean_answer_log_probability"] > -1 for row in rows)
    by_fact = {trace.fact: trace for trace in result.traces}
    for row in rows:
        scores = by_fact[row["fact"]].placebo if row["placebo"] else by_fact[row["fact"]].patched[:, :, 0]
        assert scores is not None
        place = ("layer", "mlp", "attention").index(row["kind"])
        assert row["answer_log_probability"] == scores[place, row["layer"], row["draw"], ANSWER]


@pytest.mark.by_default("noise-3", "replacement-99")
@pytest.mark.parametrize("facts", [1, 3, 5, 8, 99])
@pytest.mark.parametrize("corruption", [Corruption.noise, Corruption.replacement])
def test_counts_add_up(bench: Bench, corruption: Corruption, facts: int, tmp_path: Path) -> None:
    config = replace(CONFIG, facts=facts, corruption=corruption, rule=SelectionRule.first)
    every = bench.traced(tmp_path, replace(config, min_total_effect=-1e9)).result.traces
    totals = [float(trace.clean[ANSWER] - trace.corrupted[:, ANSWER].mean()) for trace in every]
    # A fact whose total effect equals the limit is left out.
    limit = sorted(totals)[(len(totals) - 1) // 2] if len(totals) > 1 else totals[0] - 1e-9
    bench.trace(tmp_path, replace(config, min_total_effect=limit))
    counts, left_out = content(tmp_path)["counts"], content(tmp_path)["left_out"]
    assert counts["traced"] == sum(total > limit for total in totals)
    assert counts["below_min_effect"] == len(left_out["below_min_effect"]) == sum(total <= limit for total in totals)
    assert counts["traced"] + counts["below_min_effect"] <= facts
    names = ("traced", "below_min_effect", "unknown", "without_foil", "not_needed")
    assert sum(counts[name] for name in names) == len(ROWS)
    if facts == 99:
        assert counts["not_needed"] == 0
        assert left_out["unknown"] == [ROWS[-1].id] or ROWS[-1].id in left_out["without_foil"]


@pytest.mark.exhaustive
def test_the_rows_order_does_not_matter(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path / "one")
    bench.trace(tmp_path / "two", forget=ROWS[::-1], retain=RETAIN[::-1])
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_facts_that_the_model_does_not_know_are_counted(bench: Bench, tmp_path: Path) -> None:
    wrong = [replace(row, output="@@") for row in ROWS[:2]]
    bench.trace(tmp_path, replace(CONFIG, facts=8), [*wrong, *ROWS[2:]])
    assert sorted(content(tmp_path)["left_out"]["unknown"]) == sorted(row.id for row in (*wrong, ROWS[-1]))
    assert content(tmp_path)["counts"]["traced"] == 5


def test_other_rows_are_passed_over(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path / "one")
    bench.trace(tmp_path / "two", forget=[replace(ROWS[0], id="other", input="Why?"), *ROWS])
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.grid
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("corruption", Corruption)
@pytest.mark.parametrize("mode", TraceMode)
def test_every_mode(
    bench: Bench, mode: TraceMode, corruption: Corruption, direction: Direction, tmp_path: Path
) -> None:
    window = 2 if mode is TraceMode.exact else 1
    config = replace(
        CONFIG,
        mode=mode,
        corruption=corruption,
        direction=direction,
        tokens=TracedTokens.two_rows,
        window=window,
        rule=SelectionRule.first,
        min_total_effect=-1e9,
    )
    traced = bench.traced(tmp_path, config, bench.base)
    written = content(tmp_path)
    result = traced.result
    assert (written["mode"], written["corruption"], written["direction"]) == (mode, corruption, direction)
    assert (result.mode, result.direction) == (mode, direction)
    noisy = corruption is Corruption.noise and mode is not TraceMode.weights
    assert written["noise"] == result.noise
    assert (result.noise > 0) == noisy
    assert written["draws"] == (2 if noisy else 1)
    assert {item.window for item in result.restorations} == {1, window}
    groups = ["weights"] if mode is TraceMode.weights else ["last_subject", "last"]
    with_placebo = mode is TraceMode.exact and direction is Direction.denoising
    for item in result.traces:
        assert [site.group for site in item.sites] == groups
        assert item.patched.shape == (len(result.restorations), DEPTH, len(groups), 2 if noisy else 1, 4)
        assert item.placebo is None or with_placebo
        assert np.isfinite(np.delete(item.patched, METRICS.index(Metric.LOGIT_DIFFERENCE), -1)).all()
    assert any(item.placebo is not None for item in result.traces) == with_placebo
    journals = {
        TraceMode.exact: {FINISHED},
        TraceMode.screen: {FINISHED, FINISHED_EXACT},
        TraceMode.weights: set(),
    }[mode]
    assert set(files_of(tmp_path)) == {LAYERS, EFFECTS, *journals}
    assert (written["screening"] is not None) == (mode is TraceMode.screen)
    assert read_layers(tmp_path / LAYERS) == traced.selection
    rows = parquet.read_table(tmp_path / EFFECTS).to_pylist()
    assert {row["group"] for row in rows} == set(groups)
    assert {row["draw"] for row in rows} == set(range(2 if noisy else 1))


def test_weights_need_no_subject(bench: Bench, tmp_path: Path) -> None:
    """The same rows have the same scores as completions, none of which has a subject that is known."""
    config = replace(CONFIG, mode=TraceMode.weights, rule=SelectionRule.first, facts=9)
    without = [[replace(row, kind=Kind.COMPLETION) for row in rows] for rows in (ROWS, RETAIN)]
    found = bench.trace(tmp_path / "without", config, *without, base=bench.base)
    assert found is not None
    with_subjects = {item.fact: item for item in bench.traced(tmp_path / "with", config, bench.base).result.traces}
    assert {item.fact for item in found.result.traces} == set(with_subjects)
    for item in found.result.traces:
        known = with_subjects[item.fact]
        for scores, wanted in ((item.clean, known.clean), (item.patched, known.patched)):
            assert np.allclose(scores[..., ANSWER], wanted[..., ANSWER], rtol=1e-6, atol=1e-6)


def test_the_base_model_gives_the_corrupted_scores(bench: Bench, tmp_path: Path) -> None:
    """The corrupted scores are those of the base model, in both ways to use it."""
    swapped = bench.traced(tmp_path / "weights", replace(CONFIG, mode=TraceMode.weights), bench.base)
    patched = bench.traced(tmp_path / "states", replace(CONFIG, corruption=Corruption.base_model), bench.base)
    for one, other in zip(swapped.result.traces, patched.result.traces, strict=True):
        assert one.fact == other.fact
        np.testing.assert_allclose(one.clean, other.clean, rtol=0, atol=1e-5, equal_nan=True)
        np.testing.assert_allclose(one.corrupted, other.corrupted, rtol=0, atol=1e-5, equal_nan=True)
        assert one.corrupted[0, ANSWER] < one.clean[ANSWER] - 1


def test_screening_is_held_against_the_exact_effects(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, rule=SelectionRule.first)
    exact = bench.traced(tmp_path / "exact", replace(config, placebo=False)).result
    screened = bench.traced(tmp_path / "screen", replace(config, mode=TraceMode.screen)).result
    assert exact.screening is None
    found = screened.screening
    assert found == screening(screened.traces, exact.traces, exact.restorations, Direction.denoising)
    assert found is not None
    assert found.facts == 6
    written = content(tmp_path / "screen")["screening"]
    assert written["correlation"] == pytest.approx(found.correlation)
    assert set(written["correlation_of_means"]) == {"layer", "mlp", "attention"}
    for guess, wanted in zip(screened.traces, exact.traces, strict=True):
        assert guess.fact == wanted.fact
        assert guess.corrupted == pytest.approx(wanted.corrupted, abs=1e-5, nan_ok=True)
        assert not close(guess, wanted, 1e-3)


def test_only_some_facts_are_audited(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "COMPARED", 2)
    screened = bench.traced(tmp_path, replace(CONFIG, mode=TraceMode.screen)).result
    assert screened.screening is not None
    assert screened.screening.facts == 2
    assert len(screened.traces) == 6
    audited = [json.loads(line) for line in (tmp_path / FINISHED_EXACT).read_text().splitlines()[1:]]
    assert [item["fact"] for item in audited] == [item.fact for item in screened.traces[:2]]
    assert [item["placebo"] for item in audited] == [None, None]


@pytest.mark.parametrize("split", TracedSplit)
def test_either_split_is_traced(
    bench: Bench, split: TracedSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients are always those of forget facts divided by those of retain facts."""
    sides: list[list[str]] = []

    def remembering(
        _model: object, forget: list[EncodedFact], retain: list[EncodedFact], _kind: ModuleKind
    ) -> LayerGradients:
        sides.extend([[fact.source.id for fact in side] for side in (forget, retain)])
        return LayerGradients((1.0, 3.0, 2.0), (3.0, 2.0, 1.0))

    monkeypatch.setattr(tracing_module, "layer_gradients", remembering)
    traced = bench.traced(tmp_path, replace(CONFIG, split=split))
    own = RETAIN if split is TracedSplit.retain else ROWS
    assert {item.fact for item in traced.result.traces} <= {row.id for row in own}
    assert len(traced.result.traces) == (2 if split is TracedSplit.retain else 6)
    known = sides[1 if split is TracedSplit.retain else 0]
    assert known == [item.fact for item in traced.result.traces]
    assert set(sides[0]) <= {row.id for row in ROWS}
    assert set(sides[1]) <= {row.id for row in RETAIN}
    assert traced.selection.baselines["gradient"] == (1,)
    assert traced.selection.baselines["fisher"] == (0,)


def test_a_base_that_is_no_ancestor_is_warned_of(bench: Bench, tmp_path: Path) -> None:
    stranger = deep_model("olmo", DEPTH, seed=7, vocab_size=len(bench.tokenizer))
    for mode in (TraceMode.weights, TraceMode.exact):
        config = replace(CONFIG, mode=mode, corruption=Corruption.base_model, min_total_effect=-1e9)
        config = replace(config, rule=SelectionRule.first)
        warned = bench.traced(tmp_path / "stranger", config, stranger).selection.warnings
        assert sum("does not look like the model before it memorised" in line for line in warned) == 1
        below_min_effect = bench.traced(tmp_path / "copy", config, deepcopy(bench.model)).selection.warnings
        assert not any("does not look like" in line for line in below_min_effect)
