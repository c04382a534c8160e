"""Scopes on models whose layers keep a state: each is right, or refused in one line before anything is changed."""

import pytest
import torch
from transformers import PreTrainedModel

from tests.tiny_models import tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import LayersScope
from unlearning.scopes.scope import Scope, trainable_names
from unlearning.scopes.traced import TracedScope

ATTENTION = LayersScope("all", [ModuleKind.attention])
MLP = LayersScope("all", [ModuleKind.mlp])
WHOLE = LayersScope("1", [ModuleKind.layer])
STARTS = [
    ("qwen3_5_text", ATTENTION, ("layers.0.linear_attn.", "layers.1.self_attn.")),
    ("qwen3_next", ATTENTION, ("layers.0.linear_attn.", "layers.1.self_attn.")),
    ("olmo_hybrid", MLP, ("layers.0.mlp.", "layers.1.mlp.")),
    ("granitemoehybrid", ATTENTION, ("layers.0.mamba.", "layers.1.self_attn.")),
    ("granitemoehybrid", MLP, ("layers.0.shared_mlp.", "layers.1.shared_mlp.")),
    ("bamba", MLP, ("layers.0.feed_forward.", "layers.1.feed_forward.")),
    ("falcon_h1", ATTENTION, ("layers.0.mamba.", "layers.0.self_attn.", "layers.1.mamba.", "layers.1.self_attn.")),
    ("mamba2", WHOLE, ("layers.1.",)),
    ("nemotron_h", WHOLE, ("layers.1.",)),
]
REFUSED = [
    ("mamba2", MLP, r"Mamba2Block: no mlp among its parts \(norm, mixer\); choose layer"),
    ("nemotron_h", ATTENTION, r"NemotronHBlock: no attention among its parts \(norm, mixer\); choose layer"),
    (
        "zamba2",
        TracedScope(),
        r"Zamba2MambaDecoderLayer: no mlp among its parts \(mamba, input_layernorm\); choose layer",
    ),
    ("granitemoehybrid", LoraScope(), "scope.targets=q: not in layer 0 of this model, which has gate, up, down"),
    ("mamba", LoraScope(), r"MambaBlock: no attention among its parts \(norm, mixer\); choose layer"),
]


def ids(value: object) -> str | None:
    """Return a short name for a scope or family."""
    return type(value).__name__ if isinstance(value, LayersScope | LoraScope | TracedScope) else None


def snapshot(model: PreTrainedModel) -> list[tuple[str, bool]]:
    """Return the names of all weights, and whether they may move."""
    return [(name, weight.requires_grad) for name, weight in model.named_parameters()]


@pytest.mark.parametrize(("family", "scope", "starts"), STARTS, ids=ids)
def test_exactly_the_named_modules_move(family: str, scope: LayersScope, starts: tuple[str, ...]) -> None:
    model = tiny_model(family)
    scope.require_fits(model)
    scope.apply(model, None)
    wanted = [name for name, _ in model.named_parameters() if name.partition(".")[2].startswith(starts)]
    assert trainable_names(model) == wanted
    assert {start for start in starts if any(name.partition(".")[2].startswith(start) for name in wanted)} == {*starts}


@pytest.mark.parametrize(("family", "scope", "message"), REFUSED, ids=ids)
def test_refused_before_anything_is_changed(family: str, scope: Scope, message: str) -> None:
    model = tiny_model(family)
    before = snapshot(model)
    with pytest.raises(InputError, match=f"^{message}$"):
        scope.require_fits(model)
    assert snapshot(model) == before


def test_a_block_that_several_layers_run() -> None:
    """Zamba2's layers 1 and 3 run one transformer block: only both together can be chosen."""
    model = tiny_model("zamba2", num_hidden_layers=4)
    with pytest.raises(
        InputError, match=r"^scope: layer 3 shares weights with the chosen layers; choose it too, or none"
    ):
        WHOLE.require_fits(model)
    LayersScope("1,3", [ModuleKind.layer]).require_fits(model)


def test_experts_that_are_one_tensor_are_refused_with_what_works() -> None:
    """PEFT cannot put an adapter on half of a fused tensor; the targets that the message names work below."""
    with pytest.raises(InputError, match=r"^scope.targets=q, v, up, down: .* it works: scope.targets=\[q,v\]$"):
        LoraScope(rank=2).apply(tiny_model("qwen3_next"), None)


@pytest.mark.parametrize(
    ("family", "scope"),
    [
        ("qwen3_5_text", LoraScope(rank=2)),
        ("qwen3_next", LoraScope(rank=2, targets=["q", "v"])),
        ("olmo_hybrid", LoraScope(rank=2)),
        ("falcon_h1", LoraScope(rank=2, layers="1")),
    ],
    ids=ids,
)
def test_adapters_take_part(family: str, scope: LoraScope) -> None:
    """Every adapter has a gradient: the model really calls the modules that it is put on."""
    adapted = scope.apply(tiny_model(family), None)
    adapted(input_ids=torch.arange(3, 12)[None]).logits.square().sum().backward()
    gradients = {name: weight.grad for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert all(grad is not None for grad in gradients.values())
    assert all(bool(grad.any()) for name, grad in gradients.items() if "lora_B" in name and grad is not None)
    assert len(gradients) >= 6
