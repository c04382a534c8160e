"""Models that keep a state are scored as plain code scores them: row by row, without a cache."""

from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.evaluation.tiny import TEXTS, byte_model, byte_tokenizer, greedy_text, official_rows
from tests.families import EVERY_STATEFUL
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Document, Kind, Row, Split
from unlearning.errors import InputError
from unlearning.evaluation.continuations import PromptContinuations, continuation_log_likelihoods
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import document_scores
from unlearning.evaluation.multiple_choice import last_logits

NEW_TOKENS = 6


def model_of(family: str) -> PreTrainedModel:
    """Return a random model in float64; Mamba, whose logits are float32 whatever its weights are, in float32."""
    model = byte_model(family)
    return model.float() if family.startswith("mamba") else model


def skip(_count: int) -> None:
    """Show no progress."""


def rows_of(tokenizer: PreTrainedTokenizerFast) -> tuple[list[Row], list[list[int]]]:
    """Return completions and their prompts, of which two have one length and the others their own."""
    rows = official_rows(Split.FORGET)[:4]
    made = [Row(row.id, row.input, row.output, row.task, Kind.COMPLETION, row.split) for row in rows]
    prompts = tokenizer([row.input for row in made])["input_ids"]
    return [*made, made[0]], [*prompts, [*prompts[0][1:], prompts[0][0]]]


def answers(model: PreTrainedModel, batch_tokens: int = 4000) -> list[str]:
    """Return the generated answers to `rows_of`."""
    tokenizer = byte_tokenizer()
    ends = end_tokens(model, tokenizer, PromptConfig())
    return generate(model, tokenizer, *rows_of(tokenizer), ends, NEW_TOKENS, batch_tokens)


def plain_answers(model: PreTrainedModel, ends: set[int]) -> list[str]:
    """Return the answers of one row and one token at a time."""
    tokenizer = byte_tokenizer()
    texts = [tokenizer.decode(prompt) for prompt in rows_of(tokenizer)[1]]
    return [greedy_text(model, tokenizer, text, NEW_TOKENS, ends) for text in texts]


@pytest.mark.parametrize("family", EVERY_STATEFUL)
def test_answers(family: str) -> None:
    model = model_of(family)
    expected = plain_answers(model, {0})
    assert answers(model) == expected
    assert answers(model, 1) == expected
    assert len(set(expected)) > 1


def test_only_the_end_tokens_of_the_model_s_own_settings_count() -> None:
    """Sampling and penalties of generation_config are left out, and it is what it was afterwards."""
    model, tokenizer = model_of("qwen3_5_text"), byte_tokenizer()
    third = tokenizer(answers(model)[0], add_special_tokens=False)["input_ids"][2]
    settings = model.generation_config
    settings.do_sample, settings.temperature, settings.repetition_penalty = True, 5.0, 9.0
    settings.eos_token_id, settings.max_length = [third, 0], 3
    before = settings.to_dict()
    assert answers(model) == plain_answers(model, {third, 0})
    assert model.generation_config is settings
    assert settings.to_dict() == before


def test_broken_weights_name_the_row() -> None:
    model = model_of("granitemoehybrid")
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"^row .*: the model's logits are not a number \(NaN\)"):
        answers(model)


@torch.no_grad()
def log_probabilities(model: PreTrainedModel, tokens: Sequence[int]) -> list[float]:
    """Return log p of each token but the first, from one row alone."""
    logs = model(torch.tensor([list(tokens)]), use_cache=False).logits[0].double().log_softmax(-1)
    return [float(logs[place - 1, tokens[place]]) for place in range(1, len(tokens))]


@pytest.mark.parametrize("family", EVERY_STATEFUL)
def test_likelihoods(family: str) -> None:
    """Continuations, letters after a shared beginning, and documents of different lengths in one batch."""
    model, near = model_of(family), pytest.approx
    items = [
        PromptContinuations(list(range(5, 15)), [[20, 21, 22], [30, 31], [40]], [0, 1, 0]),
        PromptContinuations([7, 8], [[9, 10, 11, 12]], [2]),
    ]
    found = continuation_log_likelihoods(model, items, 60, skip)
    for item, sums in zip(items, found, strict=True):
        for continuation, unscored, value in zip(item.continuations, item.unscored, sums, strict=True):
            logs = log_probabilities(model, [*item.prompt, *continuation])
            assert value == near(sum(logs[len(item.prompt) - 1 + unscored :]), abs=1e-4)
    prompts = [[5, 6, 7, 8, 9], [5, 6, 7, 20], [5, 6, 7, 30, 31, 32]]
    with torch.no_grad():
        wanted = torch.stack([model(torch.tensor([prompt])).logits[0, -1, [3, 4]] for prompt in prompts])
    torch.testing.assert_close(last_logits(model, prompts, [3, 4], 100, skip).float(), wanted.float())
    documents, tokenizer = [Document(str(place), text) for place, text in enumerate(TEXTS[:3])], byte_tokenizer()
    for score in document_scores(model, tokenizer, documents, 1, 1000, skip):
        logs = log_probabilities(model, tokenizer(documents[int(score.id)].text)["input_ids"])
        assert score.loss_nats == near(-sum(logs) / len(logs), abs=1e-4)
