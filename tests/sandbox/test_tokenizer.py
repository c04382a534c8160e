"""The sandbox's tokenizer loses nothing, cuts numbers into digits, and is the same each time it is trained."""

import pytest
from transformers import PreTrainedTokenizerFast

from unlearning.config.data import WorldConfig
from unlearning.sandbox.tokenizer import train_tokenizer
from unlearning.sandbox.world import generate

WORLD = WorldConfig(documents_per_task=6, nonmember_documents=10, known_entities=8, teaching_entities=8)
ENTRIES = 600


@pytest.fixture(scope="module")
def texts() -> list[str]:
    corpus = generate(WORLD)
    return [f"{row.input} {row.output}" for row in corpus.forget + corpus.retain] + list(corpus.background)


@pytest.fixture(scope="module")
def tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    return train_tokenizer(texts, ENTRIES)


@pytest.mark.parametrize("text", ["A line.\n\nAnother  one ", "naïve Ω 語 🙂", "900-57-8002"])
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_every_digit_is_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.tokenize("a 900") == ["a", "Ġ9", "0", "0"]


def test_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) == ENTRIES
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|endoftext|>", "<|padding|>")
    assert tokenizer.bos_token is None


def test_a_prompt_is_the_same_tokens_with_and_without_its_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    for row in generate(WORLD).forget:
        prompt, whole = tokenizer(row.input).input_ids, tokenizer(f"{row.input} {row.output}").input_ids
        assert whole[: len(prompt)] == prompt


def test_training_twice_gives_the_same_tokenizer(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> None:
    again = train_tokenizer(texts, ENTRIES)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
