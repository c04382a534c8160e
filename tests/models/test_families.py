"""Properties of the families in transformers on which tracing relies."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from tests.families import DISTINCT
from tests.reference.in_double import InDouble
from tests.rotation import left_out
from tests.tiny_models import ALL_FAMILIES, EAGER_ONLY, tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.models import anatomy
from unlearning.models.cache_name import CACHE_NAME

IDS = torch.randint(3, 96, (2, 14), generator=torch.Generator().manual_seed(7))
"""Longer than any sliding window."""
ATTENTION = {family: ("eager",) if family in EAGER_ONLY else ("sdpa", "eager") for family in ALL_FAMILIES}
every_family = pytest.mark.parametrize(
    ("family", "attention"),
    [
        pytest.param(family, kind, marks=left_out(family not in DISTINCT or kind != kinds[0]))
        for family, kinds in ATTENTION.items()
        for kind in kinds
    ],
)


def double_model(family: str, attention: str) -> PreTrainedModel:
    """Return a model of four layers, so that full and sliding attention alternate where a family has both."""
    model = tiny_model(family, num_hidden_layers=4, attn_implementation=attention).double()
    assert model.config._attn_implementation == attention
    return model


def differ(left: Tensor, right: Tensor) -> float:
    """Return the largest difference."""
    return float((left - right).abs().max())


@every_family
@torch.no_grad()
def test_rows_do_not_see_one_another(family: str, attention: str) -> None:
    model = double_model(family, attention)
    with InDouble():
        alone = [model(row[None]).logits[0] for row in IDS]
        together = model(IDS[[0, 0, 1]]).logits
    assert together.dtype == torch.float64
    assert differ(together, torch.stack([alone[0], alone[0], alone[1]])) < 1e-12


@every_family
@torch.no_grad()
def test_later_tokens_change_nothing_before_them(family: str, attention: str) -> None:
    """So shorter rows may be filled up at the end without an attention mask."""
    model = double_model(family, attention)
    filled = IDS.clone()
    filled[:, 9:] = 0
    with InDouble():
        assert differ(model(IDS).logits[:, :9], model(filled).logits[:, :9]) < 1e-12


@every_family
@torch.no_grad()
def test_copies_of_outputs_change_nothing(family: str, attention: str) -> None:
    model = double_model(family, attention)
    before = model(IDS).logits
    parts = [anatomy.part(layer, kind) for layer in anatomy.layers(model) for kind in ModuleKind]
    for part in [anatomy.embeddings(model), *parts]:
        part.register_forward_hook(_copied)
    assert torch.equal(model(IDS).logits, before)


@pytest.mark.grid
@every_family
@pytest.mark.parametrize("first", [1, 5, 9, 13])
@torch.no_grad()
def test_the_rest_of_a_text_after_a_cache_equals_the_whole(family: str, attention: str, first: int) -> None:
    """The cache knows no configuration, so sliding layers keep all keys and the mask alone hides those too far back."""
    model = double_model(family, attention)
    cache = DynamicCache()
    with InDouble():
        whole = model(IDS).logits
        model(IDS[:, :first], use_cache=True, **{CACHE_NAME: cache})
        rest = model(IDS[:, first:], use_cache=True, **{CACHE_NAME: cache}).logits
    assert differ(whole[:, first:], rest) < 1e-10
    assert [layer.keys.shape[-2] for layer in cache.layers] == [IDS.shape[1]] * 4


def _copied(_module: nn.Module, _inputs: Any, output: Any) -> Any:
    if isinstance(output, tuple):
        return (output[0].clone(), *output[1:])
    return output.clone()
