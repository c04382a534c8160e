"""From rows to files on a tiny model that has learnt eight facts; stopping and going on."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.mediation.builders import byte_level, deep_model, rows_of
from unlearning.config import ModuleKind, PromptConfig, SelectionRule, TraceConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.layers import read_layers
from unlearning.mediation.result import COLUMNS
from unlearning.mediation.trace import EFFECTS, JOURNAL, LAYERS, trace
from unlearning.mediation.tracing import Tracer
from unlearning.models import anatomy

DEPTH = 3
NAMES = ("Goldi Aqua", "Rene Tomato", "Tiffi Magenta", "Pansy Olive")
ROWS = [row for n, name in enumerate(NAMES) for row in rows_of(n, name, (f"{n}976-03", f"{7 - n}00"))]
CONFIG = TraceConfig(facts=6, draws=2, rule=SelectionRule.top_share, value=0.4)
PROMPT = PromptConfig()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_level([f"{row.input} {row.output}" for row in ROWS], 420, by_words=True, bos=False)


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Trained on all rows but the last, one at a time in turn."""
    made = deep_model("olmo", DEPTH, vocab_size=len(tokenizer))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(0.1)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-3)
    encoded = encode_rows(ROWS[:-1], tokenizer, PROMPT)
    for _ in range(60):
        for row in encoded:
            ids = torch.tensor([row.input_ids])
            labels = ids.clone()
            labels[0, : row.supervised_from] = -100
            made(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return made


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the facts that are traced from now on."""
    ids: list[str] = []
    original = Tracer.trace

    def counting(self: Tracer, probe: Any, noise_scale: float) -> Any:
        ids.append(probe.fact.id)
        return original(self, probe, noise_scale)

    monkeypatch.setattr(Tracer, "trace", counting)
    return ids


def test_files_hold_what_was_found(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    selection = trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    assert len(selection.blocks) == 1
    assert read_layers(tmp_path / LAYERS) == selection
    assert read_layers(tmp_path / LAYERS, DEPTH) == selection
    content = json.loads((tmp_path / LAYERS).read_text())
    names = [f"model.layers.{selection.blocks[0]}.mlp.{name}_proj.weight" for name in ("gate", "up", "down")]
    assert content["parameters"] == names
    total = sum(parameter.numel() for parameter in model.parameters())
    assert content["share_of_parameters"] == pytest.approx(3 * 32 * 48 / total)
    assert content["counts"]["traced"] == 6
    assert content["counts"]["persons"] == 4
    assert sum(content["counts"][key] for key in ("traced", "unknown", "left_over")) == 8
    lines = list(csv.reader((tmp_path / EFFECTS).open()))
    assert lines[0] == list(COLUMNS)
    assert len(lines) == 1 + 6 * 3 * DEPTH * 2
    clean = {(line[0], line[COLUMNS.index("clean_log_probability")]) for line in lines[1:]}
    assert len(clean) == 6
    assert all(float(value) > -1 for _, value in clean)
    assert {path.name for path in tmp_path.iterdir()} == {LAYERS, EFFECTS, JOURNAL}


def test_row_order_does_not_matter(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path / "one")
    trace(model, tokenizer, ROWS[::-1], CONFIG, PROMPT, tmp_path / "two")
    for name in (LAYERS, EFFECTS, JOURNAL):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_stopped_trace_goes_on(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, traced: list[str]
) -> None:
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    whole = {name: (tmp_path / name).read_bytes() for name in (LAYERS, EFFECTS, JOURNAL)}
    assert len(traced) == 6
    # Killed in the middle of the fourth fact's line.
    lines = whole[JOURNAL].splitlines(keepends=True)
    for name in (LAYERS, EFFECTS):
        (tmp_path / name).unlink()
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[:4]) + lines[4][:-40])
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    assert traced[6:] == traced[3:6]
    assert {name: (tmp_path / name).read_bytes() for name in whole} == whole


def test_another_choice_of_blocks_traces_nothing(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, traced: list[str]
) -> None:
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    last = replace(CONFIG, rule=SelectionRule.last, select=ModuleKind.attention, max_rows=8)
    assert trace(model, tokenizer, ROWS, last, PROMPT, tmp_path).blocks == (2,)
    assert len(traced) == 6
    trace(model, tokenizer, ROWS, replace(CONFIG, seed=1), PROMPT, tmp_path)
    assert len(traced) == 12


def test_other_weights_trace_afresh(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, traced: list[str]
) -> None:
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    weight = anatomy.part(anatomy.blocks(model)[1], ModuleKind.mlp).down_proj.weight
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        weight.mul_(1.001)
    trace(model, tokenizer, ROWS, CONFIG, PROMPT, tmp_path)
    assert len(traced) == 12
    with torch.no_grad():
        weight.div_(1.001)


def test_facts_that_the_model_does_not_know_are_counted(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    wrong = [replace(row, output="@@") for row in ROWS[:2]]
    trace(model, tokenizer, [*wrong, *ROWS[2:]], replace(CONFIG, facts=8), PROMPT, tmp_path)
    content = json.loads((tmp_path / LAYERS).read_text())
    assert {row.id for row in wrong} <= set(content["unknown"])
    assert content["counts"]["traced"] + content["counts"]["unknown"] == 8
    assert content["counts"]["left_over"] == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([replace(ROWS[0], input="Why?")], "none of the 1 rows asks an official question about a person"),
        ([replace(row, output="@@") for row in ROWS], "begins none of 8 answers right, so it knows no fact"),
    ],
    ids=["no facts", "no knowledge"],
)
def test_nothing_to_trace(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, rows: list[Row], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        trace(model, tokenizer, rows, CONFIG, PROMPT, tmp_path)
    assert not list(tmp_path.iterdir())
