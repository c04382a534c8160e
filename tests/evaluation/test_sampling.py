"""Sampled answers, against the model's own distribution worked out token by token."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.evaluation.tiny import byte_model, byte_tokenizer, official_rows
from unlearning.data.rows import Kind, Split
from unlearning.evaluation.sampling import Sampling, sample_answers

ROWS = [replace(row, kind=Kind.COMPLETION) for row in official_rows(Split.FORGET)[:2]]


def sampled(
    model: PreTrainedModel, sampling: Sampling, new_tokens: int = 1, batch_tokens: int = 100_000
) -> list[list[str]]:
    """Return the texts of ROWS, with no token that ends them."""
    tokenizer = byte_tokenizer()
    prompts = tokenizer([row.input for row in ROWS])["input_ids"]
    return sample_answers(model, tokenizer, ROWS, prompts, frozenset(), new_tokens, batch_tokens, sampling)


@pytest.mark.by_default("1.0-1.0")
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.2)])
def test_samples_have_the_model_s_distribution(temperature: float, top_p: float) -> None:
    """Restated: softmax of the logits over the temperature, cut to the likeliest that reach top_p, and scaled to 1.

    Of 1,000 first tokens, the share of each text that is expected five times or more is within five standard errors of
    its probability, and that of all rarer ones together too. More than 55 texts show that not only the likeliest 50 are
    drawn.
    """
    model, tokenizer = byte_model("olmo", seed=3), byte_tokenizer()
    found = sampled(model, Sampling(1000, temperature, top_p, 0))
    for row, texts in zip(ROWS, found, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer(row.input)["input_ids"]])).logits[0, -1]
        p, order = (logits / temperature).softmax(-1).sort(descending=True)
        p[(p.cumsum(0) - p) >= top_p] = 0.0
        p = p / p.sum()
        expected: Counter[str] = Counter()
        for token, chance in zip(order.tolist(), p.tolist(), strict=True):
            expected[tokenizer.decode([token], skip_special_tokens=True)] += chance  # type: ignore[assignment]
        drawn, chances = Counter(texts), {text: float(chance) for text, chance in expected.items()}
        often = [text for text, chance in chances.items() if chance * 1000 >= 5]
        pairs = [(drawn[text], chances[text]) for text in often]
        pairs.append((1000 - sum(count for count, _ in pairs), 1 - sum(chance for _, chance in pairs)))
        for count, chance in pairs:
            assert abs(count / 1000 - chance) <= 5 * (max(chance * (1 - chance), 0.0) / 1000) ** 0.5 + 1e-9
        assert len(set(texts)) > 55 or (temperature, top_p) != (1.0, 1.0)


def test_samples_depend_on_the_seed_alone() -> None:
    """The same again, whatever was drawn before, and other ones with another seed; the random state is as it was."""
    model = byte_model("gpt2")
    torch.manual_seed(5)
    first = sampled(model, Sampling(3, 1.0, 1.0, 0), 4)
    after = torch.rand(1)
    assert sampled(model, Sampling(3, 1.0, 1.0, 0), 4) == first
    assert sampled(model, Sampling(3, 1.0, 1.0, 1), 4) != first
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    assert len(sampled(model, Sampling(3, 1.0, 1.0, 0), 4, batch_tokens=1)[0]) == 3


def test_a_cold_model_says_its_greedy_answer() -> None:
    """At a temperature near 0 all samples are one, also of a model whose cache is not branched."""
    for family in ("llama", "mamba"):
        texts = sampled(byte_model(family), Sampling(3, 1e-4, 1.0, 0), 5)
        assert [len(set(own)) for own in texts] == [1, 1]
