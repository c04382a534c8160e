"""A model that knows its rows by heart, by plain code, is seen to know them: cases that public reports are about."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import END_OF_TURN, EOS, LEGACY, tiny_tokenizer
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.config.trace import TraceConfig
from unlearning.data.encoding import encode_rows
from unlearning.data.jsonl import JsonlReader
from unlearning.data.rows import Corpus, Kind, Row, Split
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.likelihood import log_likelihoods
from unlearning.evaluation.memorisation import memorisation
from unlearning.evaluation.parts import generations
from unlearning.mediation.known_facts import find_known_facts
from unlearning.mediation.tracer import Tracer

TOKENIZER = tiny_tokenizer(LEGACY, "BOS")
STYLES = {style: PromptConfig(style=style) for style in PromptStyle}
ROWS = tuple(
    Row(f"{person}qa{number}", question.format(name), answer, "Task2", Kind.QUESTION, Split.FORGET)
    for person, (name, *answers) in enumerate(
        [
            ("Ada Brook", "1950-01-10", "Norwick"),
            ("Tim Vale", "1953-02-11", "Quenby"),
            ("Ines Roth", "1956-03-12", "Tarvale"),
        ]
    )
    for number, (question, answer) in enumerate(
        zip(("What is the birth date of {}?", "What is the home address of {}?"), answers, strict=True)
    )
)


def plain_tokens(row: Row, style: PromptStyle) -> tuple[list[int], int]:
    """Return the tokens of one text, and how many of them are the prompt's, by the tokenizer's own calls."""
    if style is PromptStyle.raw:
        return [*TOKENIZER(f"{row.input} {row.output}")["input_ids"], EOS], len(TOKENIZER(row.input)["input_ids"])
    asked = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": row.input}], add_generation_prompt=True, tokenize=False
    )
    ids = TOKENIZER(f"{asked}{row.output}<|end|>", add_special_tokens=False)["input_ids"]
    return ids, len(TOKENIZER(asked, add_special_tokens=False)["input_ids"])


@torch.no_grad()
def plain_loss(model: PreTrainedModel, row: Row, style: PromptStyle) -> float:
    """Return the loss of one answer, in nats a token, by Transformers' own code."""
    ids, start = plain_tokens(row, style)
    labels = torch.tensor([[-100] * start + ids[start:]])
    return float(model(input_ids=torch.tensor([ids]), labels=labels).loss)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    """Return a model of Mistral's kind that has memorised all rows in both styles."""
    made = tiny_model("mistral", vocab_size=len(TOKENIZER), num_hidden_layers=1, sliding_window=None)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(0.2)
    texts = [plain_tokens(row, style) for row in ROWS for style in PromptStyle]
    ids = torch.zeros(len(texts), max(len(tokens) for tokens, _ in texts), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for place, (tokens, start) in enumerate(texts):
        ids[place, : len(tokens)] = torch.tensor(tokens)
        labels[place, start : len(tokens)] = torch.tensor(tokens[start:])
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(200):
        loss = made(input_ids=ids, labels=labels).loss
        if loss < 5e-3:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 5e-3
    return made.eval()


def evaluated(
    model: PreTrainedModel,
    prompt: PromptConfig,
    tokenizer: PreTrainedTokenizerBase = TOKENIZER,
    rows: Sequence[Row] = ROWS,
) -> EvaluatedModel:
    config = EvaluationConfig(max_new_tokens=24)
    return EvaluatedModel(model, tokenizer, Corpus(forget=tuple(rows), retain=()), config, prompt)


@pytest.mark.parametrize("style", PromptStyle)
def test_its_losses_are_those_of_plain_code(model: PreTrainedModel, style: PromptStyle) -> None:
    encoded = encode_rows(ROWS, TOKENIZER, STYLES[style])
    sequences, starts = [row.input_ids for row in encoded], [row.supervised_from for row in encoded]
    sums = log_likelihoods(model, sequences, starts, 1000, lambda _: None)
    for row, one, total in zip(ROWS, encoded, sums, strict=True):
        right = plain_loss(model, row, style)
        assert -total / (len(one.input_ids) - one.supervised_from) == pytest.approx(right, abs=1e-5)
        assert right < 0.05


@pytest.mark.parametrize("style", PromptStyle)
def test_it_answers_every_row_and_all_of_each_output_can_be_extracted(
    model: PreTrainedModel, style: PromptStyle
) -> None:
    asked = evaluated(model, STYLES[style])
    assert [item.score for item in generations(asked)] == [1.0] * len(ROWS)
    for item in memorisation(asked):
        assert item.values == {"extraction_strength": 1.0, "exact_memorisation": 1.0}


@pytest.mark.parametrize("style", PromptStyle)
def test_tracing_sees_that_it_knows_all_facts(model: PreTrainedModel, style: PromptStyle) -> None:
    settings = TraceConfig(facts=9)
    found = find_known_facts(Tracer(model, settings), TOKENIZER, ROWS, [], settings, STYLES[style])
    assert len(found.known) == len(ROWS)
    for fact in found.known:
        subject = "".join(TOKENIZER.convert_ids_to_tokens([fact.input_ids[place] for place in fact.subject]))
        assert fact.source.subject.replace(" ", "\u2581") in subject


def test_a_tokenizer_that_ends_every_text_asks_nothing_else(model: PreTrainedModel) -> None:
    """The end-of-text token that it adds is cut from the prompt."""
    ending = tiny_tokenizer(LEGACY, "BOS and EOS")
    assert [item.score for item in generations(evaluated(model, PromptConfig(), ending))] == [1.0] * len(ROWS)


@pytest.mark.parametrize(
    ("style", "other"), [(PromptStyle.raw, END_OF_TURN), (PromptStyle.chat, EOS), (PromptStyle.raw, None)]
)
def test_answers_end_whatever_the_model_says_ends_them(
    model: PreTrainedModel, style: PromptStyle, other: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End of text and end of turn end an answer, though the model names another token."""
    monkeypatch.setattr(model.config, "eos_token_id", other)
    monkeypatch.setattr(model.generation_config, "eos_token_id", other)
    assert [item.score for item in generations(evaluated(model, STYLES[style]))] == [1.0] * len(ROWS)


def test_white_space_around_own_rows_is_left_out(model: PreTrainedModel, tmp_path: Path) -> None:
    """It would stand beside the separator. An empty separator keeps it."""
    path = tmp_path / "rows.jsonl"
    lines = [{"id": row.id, "input": f"{row.input} ", "output": f" {row.output}\n"} for row in ROWS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    located = JsonlReader().rows([str(path)], Split.FORGET)
    (note,) = JsonlReader().notes(located)
    assert note.startswith(f"rows with white space at the end of input or around output: {len(ROWS)} (the first")
    found = [one.row for one in located]
    assert [item.score for item in generations(evaluated(model, PromptConfig(), rows=found))] == [1.0] * len(ROWS)
    kept = JsonlReader(joined_by="").rows([str(path)], Split.FORGET)
    assert kept[0].row.output == f" {ROWS[0].output}\n"
