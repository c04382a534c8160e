"""The anatomy of tiny random models of every family."""

from collections import Counter

import pytest
import torch
from torch import nn

from tests.families import EVERY_FAMILY
from tests.tiny_models import tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.scopes.layers import LayersScope
from unlearning.scopes.scope import trainable_names

DEPTH = 3
IDS = torch.tensor([[3, 4, 5, 6, 7]])
KINDS = (ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention)
WEIGHTS = {"opt": ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")}
"""Names of the MLP's weights where they are not all those that begin with "mlp."."""

LLAMA = {
    **{name: [f"self_attn.{name}_proj"] for name in "qkvo"},
    **{name: [f"mlp.{name}_proj"] for name in ("gate", "up", "down")},
}
ATTENTION_ONLY = {**LLAMA, "gate": [], "up": [], "down": []}
FUSED_MLP = {"gate": ["mlp.gate_up_proj"], "up": ["mlp.gate_up_proj"], "down": ["mlp.down_proj"]}
FUSED_GPT = {"gate": [], "up": ["mlp.dense_h_to_4h"], "down": ["mlp.dense_4h_to_h"]}
TWO_MODULES = {"gate": [], "up": ["mlp.c_fc"], "down": ["mlp.c_proj"]}
MODULES: dict[str, dict[str, list[str]]] = {
    **dict.fromkeys(("olmo", "olmo2", "olmo3", "llama", "mistral", "gemma", "gemma2", "gemma3_text"), LLAMA),
    **dict.fromkeys(("qwen2", "qwen3", "granite", "smollm3", "stablelm", "cohere"), LLAMA),
    **dict.fromkeys(("mixtral", "olmoe", "qwen3_moe", "gpt_oss"), ATTENTION_ONLY),
    "qwen2_moe": {**LLAMA, **{name: [f"mlp.shared_expert.{name}_proj"] for name in ("gate", "up", "down")}},
    "gpt2": {**{name: ["attn.c_attn"] for name in "qkv"}, "o": ["attn.c_proj"], **TWO_MODULES},
    "gpt_neo": {
        **{name: [f"attn.attention.{name}_proj"] for name in "qkv"},
        "o": ["attn.attention.out_proj"],
        **TWO_MODULES,
    },
    "gptj": {
        **{name: [f"attn.{name}_proj"] for name in "qkv"},
        "o": ["attn.out_proj"],
        "gate": [],
        "up": ["mlp.fc_in"],
        "down": ["mlp.fc_out"],
    },
    "gpt_neox": {**{name: ["attention.query_key_value"] for name in "qkv"}, "o": ["attention.dense"], **FUSED_GPT},
    "falcon": {
        **{name: ["self_attention.query_key_value"] for name in "qkv"},
        "o": ["self_attention.dense"],
        **FUSED_GPT,
    },
    "phi3": {**{name: ["self_attn.qkv_proj"] for name in "qkv"}, "o": ["self_attn.o_proj"], **FUSED_MLP},
    "glm": {**LLAMA, **FUSED_MLP},
    "phi": {**LLAMA, "o": ["self_attn.dense"], "gate": [], "up": ["mlp.fc1"], "down": ["mlp.fc2"]},
    "starcoder2": {**LLAMA, **TWO_MODULES},
    "opt": {**LLAMA, "o": ["self_attn.out_proj"], "gate": [], "up": ["fc1"], "down": ["fc2"]},
}


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_modules_run_in_their_order(family: str) -> None:
    """Embeddings run first, then attention and MLP of each layer, then the final norm, then the head: each once."""
    model = tiny_model(family, num_hidden_layers=DEPTH)
    layers = anatomy.layers(model)
    assert len(layers) == DEPTH
    names = {anatomy.embeddings(model): "embeddings", anatomy.final_norm(model): "norm"}
    names |= {anatomy.part(layer, kind): f"{number} {kind}" for number, layer in enumerate(layers) for kind in KINDS}
    names[anatomy.head_modules(model)[1]] = "head"
    ended: list[str] = []
    for module, name in names.items():
        module.register_forward_hook(lambda _module, _inputs, _output, name=name: ended.append(name))
    logits = model(IDS).logits
    assert logits.shape == (1, 5, 96)
    assert ended[0] == "embeddings"
    assert ended[-2:] == ["norm", "head"]
    for number in range(DEPTH):
        *parts, layer = ended[1 + 3 * number : 4 + 3 * number]
        assert sorted(parts) == [f"{number} attention", f"{number} mlp"]
        assert layer == f"{number} layer"
    assert len(ended) == 3 + 3 * DEPTH


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_final_norm_is_what_the_last_layer_feeds(family: str) -> None:
    """The input of the final norm is the output of the last layer, and its output is projected."""
    model = tiny_model(family, num_hidden_layers=DEPTH)
    seen: dict[str, torch.Tensor] = {}
    last, norm = anatomy.layers(model)[-1], anatomy.final_norm(model)
    last.register_forward_hook(lambda _module, _inputs, output: seen.update(left=_hidden(output)))
    norm.register_forward_hook(lambda _module, inputs, output: seen.update(entered=inputs[0], normed=output))
    projection = anatomy.head_modules(model)[1]
    projection.register_forward_hook(lambda _module, inputs, _output: seen.update(projected=inputs[0]))
    model(IDS)
    assert seen["left"] is seen["entered"]
    assert torch.equal(seen["projected"], seen["normed"])


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_parts_are_what_is_added_to_the_stream(family: str) -> None:
    """Without its weights a part gives nothing: the residual stream does not run through it."""
    model = tiny_model(family, num_hidden_layers=DEPTH)
    found: dict[str, torch.Tensor] = {}
    for kind in (ModuleKind.mlp, ModuleKind.attention):
        part = anatomy.part(anatomy.layers(model)[1], kind)
        part.register_forward_hook(lambda _module, _inputs, output, kind=kind: found.update({kind: _hidden(output)}))
    model(IDS)
    assert all(bool(output.any()) for output in found.values())
    with torch.no_grad():
        for kind in (ModuleKind.mlp, ModuleKind.attention):
            for parameter in anatomy.part_parameters(anatomy.layers(model)[1], kind):
                parameter.zero_()
    model(IDS)
    assert not any(bool(output.any()) for output in found.values())


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_outputs_are_rows_tokens_width(family: str) -> None:
    """OPT feeds its MLP all rows' tokens in one list, row by row."""
    model = tiny_model(family, num_hidden_layers=DEPTH)
    shapes: dict[ModuleKind, torch.Size] = {}
    for kind in KINDS:
        part = anatomy.part(anatomy.layers(model)[1], kind)
        part.register_forward_hook(
            lambda _module, _inputs, output, kind=kind: shapes.update({kind: _hidden(output).shape})
        )
    model(IDS.repeat(2, 1))
    expected = dict.fromkeys(KINDS, (2, 5, 32))
    if family == "opt":
        expected[ModuleKind.mlp] = (10, 32)
    assert shapes == expected


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_part_parameters(family: str) -> None:
    """Those of MLP and attention are disjoint, inside the layer, and all of it but its norms."""
    model = tiny_model(family, num_hidden_layers=DEPTH)
    for layer in anatomy.layers(model):
        names = {parameter: name for name, parameter in layer.named_parameters()}
        mlp, attention, whole = (
            [names[parameter] for parameter in anatomy.part_parameters(layer, kind)]
            for kind in (ModuleKind.mlp, ModuleKind.attention, ModuleKind.layer)
        )
        assert mlp == [name for name in names.values() if name.startswith(WEIGHTS.get(family, "mlp."))]
        assert attention
        assert whole == list(names.values())
        assert max(Counter(mlp + attention).values()) == 1
        rest = set(whole) - set(mlp) - set(attention)
        assert all("norm" in name or name.startswith("ln_") for name in rest)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_layers_scope_trains_exactly_the_mlps(family: str) -> None:
    model = tiny_model(family, num_hidden_layers=DEPTH)
    LayersScope(layers="0,2").apply(model, None)
    prefixes = {name for name, module in model.named_modules() if module in anatomy.layers(model)[::2]}
    weights = WEIGHTS.get(family, ("mlp.",))
    starts = tuple(f"{prefix}.{weight}" for prefix in prefixes for weight in weights)
    assert trainable_names(model) == [name for name, _ in model.named_parameters() if name.startswith(starts)]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1.0)
    model(IDS.repeat(2, 1), labels=torch.arange(10).view(2, 5)).loss.backward()
    optimizer.step()
    moved = [name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])]
    # A bias after a norm may have a gradient of zero, and so may an expert that no token went to.
    assert set(moved) <= set(trainable_names(model))
    assert {name.rpartition(".")[0] for name in moved} == {name.rpartition(".")[0] for name in trainable_names(model)}


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_linear_modules(family: str) -> None:
    for layer in anatomy.layers(tiny_model(family)):
        assert anatomy.linear_modules(layer) == MODULES[family]
        for names in MODULES[family].values():
            assert all(isinstance(layer.get_submodule(name), nn.Module) for name in names)


def test_bloom_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="model_type=bloom: not supported, its attention bias"):
        anatomy.layers(tiny_model("bloom"))


def test_opt_350m_has_no_final_norm() -> None:
    with pytest.raises(InputError, match="model_type=opt: no final norm found"):
        anatomy.final_norm(tiny_model("opt", do_layer_norm_before=False))


def test_errors_name_what_is_missing() -> None:
    model = tiny_model("llama")
    model.config.num_hidden_layers = 7
    with pytest.raises(InputError, match="model_type=llama: its decoder has no list of 7 layers"):
        anatomy.layers(model)
    with pytest.raises(InputError, match="Sequential: no attention among its parts"):
        anatomy.linear_modules(nn.Sequential(nn.ReLU()))
    with pytest.raises(InputError, match=r"Sequential: no mlp among its parts \(0\)"):
        anatomy.part_parameters(nn.Sequential(nn.ReLU()), ModuleKind.mlp)


def _hidden(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
