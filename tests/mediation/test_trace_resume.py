"""A trace that was stopped continues where it was, and results of another trace are never taken for its own."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.mediation.trace_bench import CONFIG, FILES, ROWS, Bench, files_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, SelectionRule, TracedTokens, TraceMode
from unlearning.mediation import trace as tracing_module
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.trace import EFFECTS, FINISHED, LAYERS
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy

pytestmark = pytest.mark.usefixtures("without_self_test")


@pytest.mark.by_default("3-6-40")
@pytest.mark.parametrize("torn", [0, 40])
@pytest.mark.parametrize(
    ("whole", "again"), [(0, 6), (1, 6), (3, 6), (4, 2), (5, 2), (6, 0)], ids=lambda count: str(count)
)
def test_a_stopped_trace_goes_on(
    bench: Bench, measured: list[str], whole: int, again: int, torn: int, tmp_path: Path
) -> None:
    """After a kill, maybe in the middle of a line, a group of facts is measured again as a whole."""
    bench.trace(tmp_path)
    before = files_of(tmp_path)
    assert len(measured) == 6
    lines = before[FINISHED].splitlines(keepends=True)
    assert len(lines) == 7
    rest = b"".join(lines[whole + 1 :])
    (tmp_path / FINISHED).write_bytes(b"".join(lines[: whole + 1]) + rest[:torn])
    for name in (LAYERS, EFFECTS):
        (tmp_path / name).unlink()
    bench.trace(tmp_path)
    assert measured[6:] == measured[6 - again : 6]
    assert files_of(tmp_path) == before


@pytest.mark.by_default("screen-2")
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("mode", [TraceMode.exact, TraceMode.screen])
def test_an_interruption_loses_one_group(
    bench: Bench, mode: TraceMode, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C during a group of facts, the groups before it are not measured again."""
    config = replace(CONFIG, facts=9, mode=mode)
    bench.trace(tmp_path / "whole", config)
    calls: list[int] = []
    place = (tracing_module, "estimate") if mode is TraceMode.screen else (Tracer, "trace")
    original = getattr(*place)

    def interrupted(tracer: Tracer, facts: Sequence[EncodedFact], noise_scale: float) -> Any:
        if facts[0].source.person:
            calls.append(len(facts))
            if calls == [4, 3][:group]:
                raise KeyboardInterrupt
        return original(tracer, facts, noise_scale)

    monkeypatch.setattr(*place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.trace(tmp_path / "stopped", config)
    assert set(files_of(tmp_path / "stopped")) == {FINISHED}
    bench.trace(tmp_path / "stopped", config)
    assert calls == [4, 3][:group] + [4, 3][group - 1 :]
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


WITHOUT_EFFECT: dict[str, dict[str, Any]] = {
    "rule": {"rule": SelectionRule.last},
    "kind": {"select": ModuleKind.attention},
    "value": {"value": 0.9},
    "filter": {"min_total_effect": 1e-3},
    "memory": {"memory_gib": 1e-6},
}


@pytest.mark.by_default("filter")
@pytest.mark.parametrize("changes", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_another_choice_of_layers_traces_nothing(
    bench: Bench, measured: list[str], changes: dict[str, Any], tmp_path: Path
) -> None:
    bench.trace(tmp_path)
    journal, other = (tmp_path / FINISHED).read_bytes(), replace(CONFIG, **changes)
    traced = bench.traced(tmp_path, other)
    assert len(measured) == 6
    assert (tmp_path / FINISHED).read_bytes() == journal
    fresh = bench.traced(tmp_path / "fresh", replace(other, memory_gib=CONFIG.memory_gib))
    assert traced.selection == fresh.selection
    assert files_of(tmp_path / "fresh")[LAYERS] == (tmp_path / LAYERS).read_bytes()


@pytest.mark.by_default("tokens")
@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"draws": 3}, {"window": 2}, {"tokens": TracedTokens.last}, {"placebo": False}, {"noise_std": 2.0}],
    ids=lambda changes: next(iter(changes)),
)
def test_other_settings_trace_afresh(
    bench: Bench, measured: list[str], changes: dict[str, Any], tmp_path: Path
) -> None:
    bench.trace(tmp_path)
    bench.trace(tmp_path, replace(CONFIG, **changes))
    assert len(measured) == 12
    bench.trace(tmp_path / "fresh", replace(CONFIG, **changes))
    assert files_of(tmp_path / "fresh") == {name: (tmp_path / name).read_bytes() for name in FILES}


def test_other_weights_trace_afresh(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    base: PreTrainedModel,
    measured: list[str],
    tmp_path: Path,
) -> None:
    bench = Bench(deepcopy(model), tokenizer, base)
    bench.trace(tmp_path)
    with torch.no_grad():
        for parameter in anatomy.part_parameters(anatomy.layers(bench.model)[1], ModuleKind.mlp):
            parameter.mul_(1.001)
    bench.trace(tmp_path)
    assert len(measured) == 12


def test_another_base_traces_afresh(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    config = replace(CONFIG, corruption=Corruption.base_model)
    stranger = deepcopy(bench.base)
    with torch.no_grad():
        anatomy.embeddings(stranger).weight.mul_(1.001)
    for base in (bench.base, stranger, bench.base):
        bench.trace(tmp_path, config, base=base)
    assert len(measured) == 18


@pytest.mark.exhaustive
def test_fewer_rows_trace_afresh(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """With other rows the foils and the size of the noise may be others."""
    bench.trace(tmp_path)
    bench.trace(tmp_path, forget=ROWS[:6])
    assert len(measured) > 6
