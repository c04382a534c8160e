"""Greedy answers in batches, compared with one row and one token at a time."""

import dataclasses

import pytest
import torch

from tests.evaluation.tiny import byte_model, byte_tokenizer, greedy_text, greedy_tokens, official_rows
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Kind, Row, Split
from unlearning.errors import InputError
from unlearning.evaluation import decoding
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.semeval import row_score
from unlearning.evaluation.speculative import draft_tokens

ROWS = official_rows(Split.FORGET)


def answers(model, tokenizer, rows, new_tokens=12, batch_tokens=4000):
    prompts = tokenizer([row.input for row in rows])["input_ids"]
    ends = end_tokens(model, tokenizer, PromptConfig())
    return generate(model, tokenizer, rows, prompts, ends, new_tokens, batch_tokens)


def as_completions(rows: list[Row]) -> list[Row]:
    return [dataclasses.replace(row, kind=Kind.COMPLETION) for row in rows]


@pytest.mark.by_default("gpt2")
@pytest.mark.parametrize("family", ["olmo", "gemma3_text", "gpt_neox", "gpt2"])
def test_batches_say_what_single_rows_say(family: str) -> None:
    """The answers of a batch are those of one row and one token at a time."""
    model, tokenizer = byte_model(family), byte_tokenizer()
    rows = as_completions(ROWS)
    expected = [greedy_text(model, tokenizer, row.input, 40, {0}) for row in rows]
    assert answers(model, tokenizer, rows, 40) == expected
    assert len(set(expected)) > 1


@pytest.mark.by_default("gemma3_text")
@pytest.mark.parametrize("family", ["olmo", "gemma3_text", "mistral", "gpt2"])
def test_the_longest_prompt_may_leave_first(family: str) -> None:
    """Its leaving makes void slots of the others' padding, more than are kept. A sliding window keeps none to clear."""
    model, tokenizer = byte_model(family), byte_tokenizer()
    short = as_completions(ROWS[:3])
    longest = max(len(row.input) for row in short) + 4 * decoding.VOID_SLOTS
    row = dataclasses.replace(ROWS[1], kind=Kind.QUESTION, output="\u2603", input=("long " * longest)[: longest + 1])
    expected = [greedy_text(model, tokenizer, row.input, 40, {0}) for row in short]
    ended, *found = answers(model, tokenizer, [row, *short], 40)
    assert found == expected
    assert len(ended) < min(map(len, expected))


@pytest.mark.grid
@pytest.mark.parametrize("batch_tokens", [1, 300, 100000])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("pad", [False, True])
def test_neither_batch_size_nor_special_tokens_matter(batch_tokens: int, bos: bool, pad: bool) -> None:
    """The answers depend neither on the size of a batch nor on a beginning or padding token."""
    model, tokenizer = byte_model("llama"), byte_tokenizer(bos, pad)
    rows = as_completions(ROWS[:6])
    expected = [greedy_text(model, tokenizer, row.input, 10, {0}) for row in rows]
    assert answers(model, tokenizer, rows, 10, batch_tokens) == expected


def test_rows_leave_at_the_model_s_end_tokens() -> None:
    """An answer ends at each end token that the model's configurations or the tokenizer name."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    tokens = [greedy_tokens(model, tokenizer(row.input)["input_ids"], set(), 20) for row in ROWS]
    model.generation_config.eos_token_id = [tokens[0][3]]
    model.config.eos_token_id = tokens[1][6]
    ends = {tokens[0][3], tokens[1][6], 0}
    assert end_tokens(model, tokenizer, PromptConfig()) == ends
    rows = as_completions(ROWS)
    expected = [greedy_text(model, tokenizer, row.input, 20, ends) for row in rows]
    assert answers(model, tokenizer, rows, 20) == expected
    assert len({len(text) for text in expected}) > 2
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    assert end_tokens(model, tokenizer, PromptConfig()) == {0}


def mutations(text: str) -> list[str]:
    """Return answers that the text matches wholly, in part, or not at all."""
    return [text, f" {text.upper()}\n", text[:-1], text[: len(text) // 2], f"{text}x", "Madera", "NA"]


@pytest.mark.by_default("1")
@pytest.mark.parametrize("seed", range(4))
def test_stopping_early_changes_no_score(seed: int) -> None:
    """The scores are those of answers that are generated to their end."""
    model, tokenizer = byte_model("olmo", seed), byte_tokenizer()
    # Single bytes as end tokens, so that some rows end by themselves.
    model.generation_config.eos_token_id = [0, 32 + seed, 260]
    ends = set(model.generation_config.eos_token_id)
    rows, texts = [], []
    for row in official_rows(Split.RETAIN):
        text = greedy_text(model, tokenizer, row.input, 24, ends)
        for answer in mutations(text):
            rows.append(dataclasses.replace(row, output=answer))
            texts.append(text)
    found = answers(model, tokenizer, rows, 24)
    scores = [row_score(row.kind, row.output, text) for row, text in zip(rows, found, strict=True)]
    assert scores == [row_score(row.kind, row.output, text) for row, text in zip(rows, texts, strict=True)]
    questions = [score for row, score in zip(rows, scores, strict=True) if row.kind is Kind.QUESTION]
    assert 0 < sum(questions) < len(questions)
    assert sum(map(len, found)) < sum(map(len, texts))


def test_a_question_stops_at_the_first_wrong_character() -> None:
    """The text of a question ends once it can no longer match the answer."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    row = dataclasses.replace(ROWS[1], kind=Kind.QUESTION, output="\u2603 no model says this")
    (text,) = answers(model, tokenizer, [row], 40)
    assert len(text) < len(greedy_text(model, tokenizer, row.input, 40, {0}))


@pytest.mark.by_default("2.0")
@pytest.mark.parametrize("share", [0.0, 2.0])
def test_drafts_change_nothing(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are the same if drafts are always checked and if they never are."""
    model, tokenizer = byte_model("gpt2"), byte_tokenizer()
    texts = [greedy_text(model, tokenizer, row.input, 40, {0}) for row in ROWS]
    # Half of the rows expect what the model says, so that likely_answers are right, wrong and absent side by side.
    rows = [
        dataclasses.replace(row, kind=Kind.COMPLETION, output=text if index % 2 else row.output)
        for index, (row, text) in enumerate(zip(ROWS, texts, strict=True))
    ]
    monkeypatch.setattr(decoding, "DRAFTED_SHARE", share)
    monkeypatch.setattr(decoding, "VOID_SLOTS", 8)
    assert answers(model, tokenizer, rows, 40) == texts


@pytest.mark.by_default("gemma3_text-0")
@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("family", ["gemma3_text", "mistral", "gpt_oss"])
def test_a_window_that_holds_all_slots_is_full_attention(
    family: str, missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then drafts are checked; with one slot less they are not. Neither changes an answer."""
    monkeypatch.setattr(decoding, "DRAFTED_SHARE", 0.0)
    monkeypatch.setattr(decoding, "VOID_SLOTS", 8)
    tokenizer = byte_tokenizer()
    width = max(len(ids) for ids in tokenizer([row.input for row in ROWS])["input_ids"])
    window = decoding.slots_needed(width, 40) - missing
    model = byte_model(family, sliding_window=window)
    texts = [greedy_text(model, tokenizer, row.input, 40, {0}) for row in ROWS]
    wanted = [f"{text} unsaid" for text in texts]  # so that no answer is complete before its end
    rows = [dataclasses.replace(row, output=text) for row, text in zip(as_completions(ROWS), wanted, strict=True)]
    drafted: list[bool] = []
    monkeypatch.setattr(decoding, "draft_tokens", lambda *given: drafted.append(True) or draft_tokens(*given))
    assert answers(model, tokenizer, rows, 40) == texts
    assert bool(drafted) == (missing == 0)


def test_a_row_ends_where_the_context_does() -> None:
    """An answer ends at the end of the model's context."""
    model, tokenizer = byte_model("llama", context=64), byte_tokenizer()
    row = dataclasses.replace(ROWS[0], kind=Kind.COMPLETION)
    prompt = tokenizer(row.input)["input_ids"]
    expected = greedy_text(model, tokenizer, row.input, 64 - len(prompt), set())
    assert generate(model, tokenizer, [row], [prompt], frozenset({0}), 200, 4000) == [expected]


def test_a_prompt_that_fills_the_context_is_refused() -> None:
    """A prompt that leaves no room for an answer is refused with the name of the row."""
    model, tokenizer = byte_model("llama", context=16), byte_tokenizer()
    with pytest.raises(InputError, match=f"row {ROWS[0].id}: 20 tokens; the model's context of 16"):
        generate(model, tokenizer, ROWS[:1], [[5] * 20], frozenset({0}), 8, 4000)


def test_logits_that_are_no_number_name_the_row() -> None:
    """Broken weights are refused with the name of the row."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(InputError, match=r"row .*: the model's logits are not a number"):
        answers(model, tokenizer, ROWS)


def test_modes_are_put_back() -> None:
    """Every module is in its former mode after the generation."""
    model, tokenizer = byte_model("olmo").train(), byte_tokenizer()
    model.model.layers[0].eval()
    answers(model, tokenizer, ROWS[:1], 1)
    assert model.training
    assert model.model.layers[1].training
    assert not model.model.layers[0].training
