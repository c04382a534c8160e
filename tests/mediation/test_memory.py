"""Rows of a pass by hand."""

import pytest
import torch

from tests.mediation.builders import deep_model
from unlearning.mediation.memory import GIB, rows_within

BYTES = 14_400
"""Of a row of 5 tokens after 3, 2 of them scored: the tiny model has width 32, an MLP of 48, 4 heads, 96 tokens.

5 * (6 * 32 + 3 * 48) * 4 = 6720 for a block's hidden states, 2 * 4 * 5 * 8 * 4 = 1280 for its attention scores,
4 * 8 * 32 * 4 = 4096 for keys and values, 2 * 96 * (4 + 8) = 2304 for logits.
"""


@pytest.mark.parametrize(("total", "rows"), [(3 * BYTES + 1, 3), (3 * BYTES - 1, 2), (BYTES + 1, 1), (1, 1)])
def test_rows_by_hand(total: int, rows: int) -> None:
    assert rows_within(total / GIB, deep_model("llama", 2), 5, 3, 2) == rows


def test_the_depth_does_not_matter() -> None:
    """A pass without gradients holds one block at a time."""
    assert rows_within(1, deep_model("llama", 2), 5, 3, 2) == rows_within(1, deep_model("llama", 9), 5, 3, 2)


def test_half_precision_takes_half_but_for_the_logits_copy() -> None:
    """(6720 + 1280 + 4096) / 2 + 2 * 96 * (2 + 8) = 7968."""
    model = deep_model("llama", 2).to(torch.bfloat16)
    assert rows_within((10 * 7968 + 1) / GIB, model, 5, 3, 2) == 10
    assert rows_within((10 * 7968 - 1) / GIB, model, 5, 3, 2) == 9


@pytest.mark.parametrize(
    ("tokens", "prefix", "answer"), [(6, 3, 2), (5, 4, 2), (5, 3, 3)], ids=["tokens", "prefix", "answer"]
)
def test_all_that_a_row_holds_counts(tokens: int, prefix: int, answer: int) -> None:
    model = deep_model("llama", 2)
    assert rows_within(1, model, tokens, prefix, answer) < rows_within(1, model, 5, 3, 2)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gpt_neo", "falcon", "opt"])
def test_families_with_other_names(family: str) -> None:
    """A width that is not given is four times the hidden states'."""
    model = deep_model(family, 2)
    if hasattr(model.config, "intermediate_size"):
        del model.config.intermediate_size
    per_row = 5 * (6 * 32 + 3 * 128) * 4 + 1280 + 4096 + 2304
    assert rows_within((7 * per_row + 1) / GIB, model, 5, 3, 2) == 7
