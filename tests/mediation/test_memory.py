"""The number of rows in one forward pass, by hand."""

import pytest
import torch

from tests.mediation.builders import deep_model
from unlearning.mediation.memory import CPU_GIB, GIB, budget_gib, rows_within

BYTES = 12_096
"""Bytes of a row of 5 tokens after a prefix of 3: the tiny model has width 32, an MLP of 48 and 4 heads.

5 * (6 * 32 + 3 * 48) * 4 = 6720 for a layer's hidden states, 2 * 4 * 5 * 8 * 4 = 1280 for its attention scores,
4 * 8 * 32 * 4 = 4096 for keys and values.
"""


@pytest.mark.parametrize(("total", "rows"), [(3 * BYTES + 1, 3), (3 * BYTES - 1, 2), (BYTES + 1, 1), (1, 1)])
def test_rows_by_hand(total: int, rows: int) -> None:
    assert rows_within(total / GIB, deep_model("llama", 2), 5, 3) == rows


def test_the_depth_does_not_matter() -> None:
    """A pass without gradients holds one layer at a time, so the depth does not matter."""
    assert rows_within(1, deep_model("llama", 2), 5, 3) == rows_within(1, deep_model("llama", 9), 5, 3)


def test_half_precision_takes_half() -> None:
    model = deep_model("llama", 2).to(torch.bfloat16)
    assert rows_within((10 * BYTES / 2 + 1) / GIB, model, 5, 3) == 10
    assert rows_within((10 * BYTES / 2 - 1) / GIB, model, 5, 3) == 9


@pytest.mark.parametrize(("tokens", "prefix"), [(6, 3), (5, 4)], ids=["tokens", "prefix"])
def test_all_that_a_row_holds_counts(tokens: int, prefix: int) -> None:
    model = deep_model("llama", 2)
    assert rows_within(1, model, tokens, prefix) < rows_within(1, model, 5, 3)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gpt_neo", "falcon", "opt"])
def test_families_with_other_names(family: str) -> None:
    """Where the configuration has no width of the MLP, it is four times that of the hidden states."""
    model = deep_model(family, 2)
    if hasattr(model.config, "intermediate_size"):
        del model.config.intermediate_size
    per_row = 5 * (6 * 32 + 3 * 128) * 4 + 1280 + 4096
    assert rows_within((7 * per_row + 1) / GIB, model, 5, 3) == 7


def test_what_was_asked_for_is_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting it is half of a GPU's free memory: 6 of 12 GiB."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (12 * GIB, 80 * GIB))
    for device in map(torch.device, ("cpu", "cuda")):
        assert budget_gib(0.5, device) == 0.5
    assert budget_gib(None, torch.device("cuda")) == 6
    assert budget_gib(None, torch.device("cpu")) == CPU_GIB
