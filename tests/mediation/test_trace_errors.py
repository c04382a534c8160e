"""What cannot be traced is refused in one line, and no file is left half-written."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from tests.mediation.builders import deep_model
from tests.mediation.trace_bench import CONFIG, DEPTH, RETAIN, ROWS, Bench, content, files_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, SelectionRule, TraceMode
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation import trace as tracing_module
from unlearning.mediation.trace import EFFECTS, FINISHED
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy


def refused(bench: Bench, out: Path, *, message: str, keeps: Sequence[str] = (), **changes: Any) -> None:
    """Check that the error is one line and that only what was measured is left on disk."""
    with pytest.raises(InputError, match=message) as raised:
        bench.trace(out, **changes)
    assert "\n" not in str(raised.value)
    assert set(files_of(out)) == set(keeps)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "^tracing: none of the 0 forget rows has a known subject, "),
        ([replace(ROWS[0], input="Why?")], "none of the 1 forget rows has a known subject, .* give a column subject, "),
        (
            [replace(row, output="@@") for row in ROWS],
            "knows none of 8 facts, since it begins none of their answers right",
        ),
    ],
    ids=["no rows", "no facts", "no knowledge"],
)
def test_nothing_to_trace(bench: Bench, rows: list[Row], message: str, tmp_path: Path) -> None:
    refused(bench, tmp_path, message=message, forget=rows)


def test_no_other_name(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, corruption=Corruption.replacement)
    message = (
        r"^trace\.corruption=replacement: for none of 2 facts does another person's name have as many tokens in the "
        r"same question$"
    )
    refused(bench, tmp_path, message=message, config=config, forget=ROWS[:2], retain=[])


def test_nothing_moved(bench: Bench, measured: list[str], tmp_path: Path) -> None:
    """The facts that were measured are kept for a second call."""
    config = replace(CONFIG, min_total_effect=1e6)
    message = r"^tracing: the corruption costs none of 6 facts more than trace\.min_total_effect=1e\+06 nats a token"
    refused(bench, tmp_path, message=message, config=config, keeps=[FINISHED, EFFECTS])
    bench.trace(tmp_path)
    assert len(measured) == 6


@pytest.mark.parametrize(
    ("mode", "corruption", "setting"),
    [
        (TraceMode.exact, Corruption.base_model, r"corruption=base_model"),
        (TraceMode.screen, Corruption.base_model, r"corruption=base_model"),
        (TraceMode.weights, Corruption.noise, r"mode=weights"),
    ],
)
def test_no_base_model(bench: Bench, mode: TraceMode, corruption: Corruption, setting: str, tmp_path: Path) -> None:
    config = replace(CONFIG, mode=mode, corruption=corruption)
    message = rf"^trace\.{setting}: needs trace\.base_model, the model before it memorised$"
    refused(bench, tmp_path, message=message, config=config)


SHAPES: dict[str, Callable[[int], PreTrainedModel]] = {
    "family": lambda size: deep_model("llama", DEPTH, vocab_size=size),
    "depth": lambda size: deep_model("olmo", DEPTH + 1, vocab_size=size),
    "width": lambda size: deep_model("olmo", DEPTH, vocab_size=size, hidden_size=64),
    "inner width": lambda size: deep_model("olmo", DEPTH, vocab_size=size, intermediate_size=64),
}


@pytest.mark.parametrize("mode", [TraceMode.exact, TraceMode.screen, TraceMode.weights])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_base_of_another_shape(
    bench: Bench,
    measured: list[str],
    shape: Callable[[int], PreTrainedModel],
    mode: TraceMode,
    tmp_path: Path,
) -> None:
    """The error comes before hours are spent on tracing."""
    config = replace(CONFIG, mode=mode, corruption=Corruption.base_model, min_total_effect=-1e9)
    refused(bench, tmp_path, message=r"^trace\.base_model", config=config, base=shape(len(bench.tokenizer)))
    assert measured == []


def test_a_rule_that_reads_gradients_needs_retain_facts(bench: Bench, tmp_path: Path) -> None:
    config = replace(CONFIG, rule=SelectionRule.gradient)
    message = r"^trace\.rule=gradient or fisher: no retain facts to take gradients of; choose another trace.rule$"
    refused(bench, tmp_path, message=message, config=config, retain=[], keeps=[FINISHED, EFFECTS])
    assert bench.trace(tmp_path, config) is not None


def test_without_retain_facts_there_are_no_gradients(bench: Bench, tmp_path: Path) -> None:
    bench.trace(tmp_path, retain=[replace(RETAIN[0], input="Why?")])
    assert set(content(tmp_path)["baselines"]) == {"random", "first", "middle", "last"}


def test_gradients_that_cannot_be_compared_do_not_stop_a_rule_that_reads_none(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An MLP whose output is zero, as in a pruned model, has no gradient; here gradients are only a baseline."""
    pruned = replace(bench, model=deepcopy(bench.model))
    with torch.no_grad():
        for parameter in anatomy.part_parameters(anatomy.layers(pruned.model)[1], ModuleKind.mlp):
            parameter.zero_()
    monkeypatch.setattr(Tracer, "knows", lambda _self, facts: [True] * len(facts))
    config = replace(CONFIG, rule=SelectionRule.first, min_total_effect=-1e9)
    assert pruned.traced(tmp_path, config).selection.layers == (0,)


def test_an_architecture_that_cannot_be_traced(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before any fact is traced."""

    def failing(_tracer: Tracer) -> None:
        raise InputError("model_type=olmo: cannot be traced exactly")

    monkeypatch.setattr(tracing_module, "self_test", failing)
    refused(bench, tmp_path, message="^model_type=olmo: cannot be traced exactly$")
