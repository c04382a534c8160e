"""Log-likelihoods of continuations that share a prompt, compared with one continuation at a time."""

import math
from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from tests.evaluation.counted import tokens_through
from tests.evaluation.tiny import byte_model
from tests.tiny_models import FAMILIES
from unlearning.evaluation.continuations import PromptContinuations, continuation_log_likelihoods

ITEMS = (
    PromptContinuations([5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [[20, 21, 22], [23], [20, 24]], [0, 0, 1]),
    PromptContinuations([30], [[31, 32]], [0]),
    PromptContinuations([5, 6, 40], [[41], [42], [43], [44]], [0, 0, 0, 0]),
    PromptContinuations([50, 51, 52, 53], [[54, 55, 56, 57, 58], [54, 55, 56, 57, 59]], [2, 4]),
)


def skip(_: int) -> None:
    """Stand in for a progress bar."""


@torch.no_grad()
def naive(model: PreTrainedModel, prompt: Sequence[int], continuation: Sequence[int], unscored: int) -> float:
    """Return the log-likelihood of one continuation by itself, from all logits."""
    tokens = [*prompt, *continuation]
    values = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return sum(values[place - 1, tokens[place]].item() for place in range(len(prompt) + unscored, len(tokens)))


@pytest.mark.grid
@pytest.mark.parametrize("family", [*FAMILIES, "opt"])
@pytest.mark.parametrize("batch_tokens", [1, 40, 10000])
def test_continuations_are_those_of_whole_sequences(family: str, batch_tokens: int) -> None:
    """Continuations of one or more tokens, one or more for a prompt, are scored in the order of the items."""
    model = byte_model(family)
    expected = [
        [
            naive(model, item.prompt, continuation, left)
            for continuation, left in zip(item.continuations, item.unscored, strict=True)
        ]
        for item in ITEMS
    ]
    counts: list[int] = []
    found = continuation_log_likelihoods(model, ITEMS, batch_tokens, counts.append)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert sum(counts) == 10


def test_a_prompt_goes_through_the_model_once() -> None:
    """The prompt has 10 tokens; two continuations need 2 of their 3 tokens, 2 x 2; one of a single token needs none."""
    model = byte_model("olmo")
    item = PromptContinuations(list(range(5, 15)), [[20, 21, 22], [30, 31, 32], [40]], [0, 0, 0])
    with tokens_through(model) as seen:
        continuation_log_likelihoods(model, [item], 10000, skip)
    assert seen == [10, 4]
    with tokens_through(model) as seen:
        continuation_log_likelihoods(model, [PromptContinuations([5, 6], [[7], [8]], [0, 0])], 10000, skip)
    assert seen == [2]


def test_an_even_model_pays_log_v_for_each_counted_token() -> None:
    """Each of 3, 1 and 2 - 1 counted tokens costs ln 384."""
    model = byte_model("olmo")
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    ((first, second, third),) = continuation_log_likelihoods(model, ITEMS[:1], 10000, skip)
    assert [first, second, third] == pytest.approx([-3 * math.log(384), -math.log(384), -math.log(384)])


def test_no_number_stays_none() -> None:
    """A result that is not a number is returned, for the caller to name the item."""
    model = byte_model("olmo")
    with torch.no_grad():
        model.get_output_embeddings().weight[3] = float("nan")
    ((value,),) = continuation_log_likelihoods(model, ITEMS[1:2], 10000, skip)
    assert math.isnan(value)


def test_nothing() -> None:
    """Without items there is no result."""
    assert continuation_log_likelihoods(byte_model("olmo"), [], 100, skip) == []
