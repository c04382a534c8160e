"""All metrics of a model, compared with a restatement of the official evaluator, and refused input."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tests.evaluation.tiny import (
    byte_model,
    byte_tokenizer,
    greedy_text,
    multiple_choice,
    official_rows,
    small_corpus,
)
from tests.reference.official_score import Official, official_score
from tests.tiny_models import tiny_model
from unlearning.config.evaluation import EvaluationConfig, QuestionFormat
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.data.rows import Corpus, Document, Kind, Row, Split
from unlearning.errors import InputError
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.parts import evenly_spread
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import official_record, term_keys

NEW_TOKENS = 14
CONFIG = EvaluationConfig(max_new_tokens=NEW_TOKENS, shots=2, batch_tokens=3000)


def half_known(rows: list[Row], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[Row, ...]:
    """Return the rows; every second document expects what the model says, so that no term is 0 or 1."""
    known = []
    for index, row in enumerate(rows):
        text = greedy_text(model, tokenizer, row.input, NEW_TOKENS, {0})
        answer = text.upper() if row.kind is Kind.QUESTION else f"{text} and then no more"
        known.append(dataclasses.replace(row, output=answer) if index // 2 % 2 else row)
    return tuple(known)


def known_corpus(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Corpus:
    """Return a corpus with rows of all tasks, some known to the model, and five worked examples of each subject."""
    questions, _ = multiple_choice(16)
    return dataclasses.replace(
        small_corpus(),
        questions=tuple(questions[:6]),
        examples=tuple(questions[6:]),
        forget=half_known(official_rows(Split.FORGET), model, tokenizer),
        retain=half_known(official_rows(Split.RETAIN), model, tokenizer),
    )


def flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the numbers of a nested record in one flat dictionary."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}/")
        elif isinstance(value, list):
            found |= {f"{prefix}{key}/{place}": item for place, item in enumerate(value)}
        else:
            found[f"{prefix}{key}"] = value
    return found


def compare(
    result: EvaluationResult, official: Official, corpus: Corpus, folder: Path, shots: int = CONFIG.shots
) -> dict[str, Any]:
    """Check the whole record against the official evaluator's, and return it."""
    examples = {
        item.subject: [one for one in corpus.examples if one.subject == item.subject] for item in corpus.questions
    }
    right = [official.letter_is_right(item, examples[item.subject][:shots]) for item in corpus.questions]
    expected = flat(
        official_score(
            official,
            {"forget": corpus.forget, "retain": corpus.retain},
            {"member": corpus.members, "nonmember": corpus.nonmembers},
            sum(right) / len(right),
            folder,
        )
    )
    record = flat(official_record(result))
    assert isinstance(record.pop("mmlu_above_7b_threshold"), bool)
    assert record == pytest.approx(expected, abs=1e-9)
    return record


@pytest.mark.by_default("olmo-5")
@pytest.mark.parametrize(("family", "shots"), [("olmo", 0), ("olmo", 5), ("gpt2", 2)])
def test_the_record_is_the_official_evaluator_s(family: str, shots: int, tmp_path: Path) -> None:
    """Both records are equal to 1e-9; the other side scores one row at a time and goes through CSV files."""
    model, tokenizer = byte_model(family, 5), byte_tokenizer()
    corpus = known_corpus(model, tokenizer)
    config = dataclasses.replace(CONFIG, shots=shots)
    result = evaluate(model, tokenizer, corpus, config, PromptConfig(), "tiny")
    record = compare(result, Official(model, tokenizer, NEW_TOKENS), corpus, tmp_path, shots)
    assert {item.task for item in result.generations} == {"Task1", "Task2", "Task3"}
    assert result.missing == []
    assert 0 < record["harmonic-mean-task-aggregate"] < 1
    assert result.metrics["final"] == record["aggregate-score"]
    assert EvaluationResult.from_json(result.to_json()) == result


def test_empty_generations_count_as_nan(tmp_path: Path) -> None:
    """An empty generation is right where the answer is "nan", as in the official evaluator's CSV file."""
    model, tokenizer = byte_model("gpt_neox", 5), byte_tokenizer()
    with torch.no_grad():
        # Whatever the text, the end token is by far the most likely.
        model.gpt_neox.final_layer_norm.bias.fill_(4.0)
        model.get_output_embeddings().weight[0] = 1.0
    corpus = small_corpus()
    corpus = dataclasses.replace(corpus, forget=(dataclasses.replace(corpus.forget[1], output="nan"), *corpus.forget))
    result = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny")
    compare(result, Official(model, tokenizer, NEW_TOKENS), corpus, tmp_path)
    assert {item.generated for item in result.generations} == {""}
    assert result.generations[0].score == 1
    assert result.metrics["final"] is not None
    assert result.metrics["task_aggregate"] == 0


def test_generations_are_in_the_order_of_the_rows() -> None:
    """The order of the generations does not depend on the batches."""
    model, tokenizer, corpus = byte_model("olmo"), byte_tokenizer(), small_corpus()
    result = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny")
    rows = [*corpus.forget, *corpus.retain]
    assert [(item.id, item.split, item.expected) for item in result.generations] == [
        (row.id, row.split.value, row.output) for row in rows
    ]
    assert [item.member for item in result.membership] == [True] * 3 + [False] * 3


def test_at_most_so_many_documents_are_attacked() -> None:
    """Of three members the first two at equal distances are taken, and as many others; their scores are the same."""
    model, tokenizer, corpus = byte_model("olmo"), byte_tokenizer(), small_corpus()
    every = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny").membership
    few = dataclasses.replace(CONFIG, max_documents=2)
    assert evaluate(model, tokenizer, corpus, few, PromptConfig(), "tiny").membership == [
        every[place] for place in (0, 1, 3, 4)
    ]


def test_what_the_data_does_not_allow_is_named() -> None:
    """The final score is never computed of fewer parts; the metrics that can be computed are there."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    corpus = Corpus(forget=(small_corpus().forget[0],), retain=(), members=(Document("m", "some text"),))
    result = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny")
    assert set(result.metrics) >= {*METRICS, *term_keys()}
    assert result.metrics["final"] is None
    assert result.metrics["forget_Task1_regurgitation"] is not None
    assert [line.split(":")[0] for line in result.missing] == ["task_aggregate", "mia_score", "utility"]
    assert "forget_Task1_knowledge" in result.missing[0]
    assert "forget_Task1_regurgitation" not in result.missing[0]
    assert result.missing[1] == "mia_score: the data has no nonmembers"
    assert result.missing[2] == "utility: the data has no questions"


def test_utility_is_the_configured_format() -> None:
    """The accuracies of both formats are always there."""
    model, tokenizer, corpus = byte_model("olmo", 2), byte_tokenizer(), small_corpus()
    cloze = dataclasses.replace(CONFIG, utility_format=QuestionFormat.cloze)
    first = evaluate(model, tokenizer, corpus, cloze, PromptConfig(), "tiny").metrics
    second = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny").metrics
    assert first["utility"] == first["utility_cloze"] == second["utility_cloze"]
    assert second["utility"] == second["utility_letters"] == first["utility_letters"]


def test_questions_with_other_than_four_options_have_no_letters() -> None:
    """There is no accuracy over only some of the questions."""
    model, tokenizer, corpus = byte_model("olmo", 2), byte_tokenizer(), small_corpus()
    odd = dataclasses.replace(corpus.questions[0], options=("yes", "no"))
    corpus = dataclasses.replace(corpus, questions=(odd, *corpus.questions[1:]))
    result = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny")
    assert result.metrics["utility_letters"] is None
    assert result.metrics["utility_cloze"] is not None
    assert result.missing == ["utility: not all questions have 4 options, as format letters needs"]


def test_evenly_spread() -> None:
    """The items are floor(k * 10 / 4) for k from 0 to 3: 0, 2, 5, 7."""
    assert evenly_spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert evenly_spread(list(range(3)), 5) == [0, 1, 2]
    assert evenly_spread(list(range(3)), None) == [0, 1, 2]


def test_chat_prompts_go_through_the_template() -> None:
    """Chat prompts are refused where there is no template."""
    model, tokenizer, corpus = byte_model("olmo"), byte_tokenizer(), small_corpus()
    chat = PromptConfig(style=PromptStyle.chat)
    with pytest.raises(InputError, match="no chat template"):
        evaluate(model, tokenizer, corpus, CONFIG, chat, "tiny")
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}|"
    result = evaluate(model, tokenizer, corpus, CONFIG, chat, "tiny")
    row = corpus.forget[0]
    expected = greedy_text(model, tokenizer, f"<user>{row.input}|", NEW_TOKENS, {0})
    assert result.generations[0].generated == expected


def test_a_tokenizer_of_another_model_is_refused() -> None:
    """It is refused before anything is measured."""
    with pytest.raises(InputError, match="tokenizer of 384 tokens, model of 96 embeddings"):
        evaluate(tiny_model("olmo"), byte_tokenizer(), small_corpus(), CONFIG, PromptConfig(), "tiny")


@pytest.mark.official
def test_official_rows_and_tokenizer(tmp_path: Path) -> None:
    """The records are equal too on the shortest row of each task and kind of the validation fold."""
    if "UNLEARNING_DATA" not in os.environ:
        pytest.skip("UNLEARNING_DATA is not set: it must name the folder of the official data")
    data = Path(os.environ["UNLEARNING_DATA"])
    tokenizer = AutoTokenizer.from_pretrained(data / "tokenizers/olmo-0724")
    model = tiny_model("olmo", 1, vocab_size=50304, max_position_embeddings=1024, eos_token_id=50279).double()
    rows = {}
    for split in Split:
        table = pd.read_parquet(data / f"semeval25/data/{split}_validation-00000-of-00001.parquet")
        table["kind"] = table["id"].str[-3:-1]
        table = table.sort_values("input", key=lambda inputs: inputs.str.len(), kind="stable")
        rows[split] = [
            Row(row.id, row.input, row.output, row.task, Kind(row.kind), split)
            for row in table.groupby(["task", "kind"]).head(1).itertuples()
        ]
    corpus = dataclasses.replace(
        small_corpus(),
        forget=half_known(rows[Split.FORGET], model, tokenizer),
        retain=half_known(rows[Split.RETAIN], model, tokenizer),
    )
    result = evaluate(model, tokenizer, corpus, CONFIG, PromptConfig(), "tiny")
    compare(result, Official(model, tokenizer, NEW_TOKENS), corpus, tmp_path)
