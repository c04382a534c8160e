"""The anatomy of tiny random models of every family that is easy to build."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy

COMMON: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "head_dim": 8,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT: dict[str, Any] = {
    "vocab_size": 40,
    "n_embd": 16,
    "n_layer": 3,
    "n_head": 2,
    "n_positions": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NEO: dict[str, Any] = {"attention_types": [[["global", "local"], 1], [["global"], 1]], "num_layers": 3}
OPT: dict[str, Any] = {"ffn_dim": 24, "word_embed_proj_dim": 16}
MOE: dict[str, Any] = {"num_local_experts": 2, "num_experts": 2, "num_experts_per_tok": 1}
FUSED = {name: ["self_attn.qkv_proj"] for name in "qkv"}
LLAMA = {
    **{name: [f"self_attn.{name}_proj"] for name in "qkvo"},
    **{name: [f"mlp.{name}_proj"] for name in ("gate", "up", "down")},
}
FUSED_GPT = {"gate": [], "up": ["mlp.dense_h_to_4h"], "down": ["mlp.dense_4h_to_h"]}
LAYERS: dict[str, dict[str, list[str]]] = {
    **dict.fromkeys(
        ("olmo", "olmo2", "olmo3", "llama", "mistral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3"),
        LLAMA,
    ),
    **dict.fromkeys(("granite", "smollm3"), LLAMA),
    **{family: {**LLAMA, "gate": [], "up": [], "down": []} for family in ("mixtral", "olmoe")},
    "gpt2": {
        **{name: ["attn.c_attn"] for name in "qkv"},
        "o": ["attn.c_proj"],
        "gate": [],
        "up": ["mlp.c_fc"],
        "down": ["mlp.c_proj"],
    },
    "gpt_neo": {
        **{name: [f"attn.attention.{name}_proj"] for name in "qkv"},
        "o": ["attn.attention.out_proj"],
        "gate": [],
        "up": ["mlp.c_fc"],
        "down": ["mlp.c_proj"],
    },
    "gptj": {
        **{name: [f"attn.{name}_proj"] for name in "qkv"},
        "o": ["attn.out_proj"],
        "gate": [],
        "up": ["mlp.fc_in"],
        "down": ["mlp.fc_out"],
    },
    "gpt_neox": {
        **{name: ["attention.query_key_value"] for name in "qkv"},
        "o": ["attention.dense"],
        **FUSED_GPT,
    },
    "falcon": {
        **{name: ["self_attention.query_key_value"] for name in "qkv"},
        "o": ["self_attention.dense"],
        **FUSED_GPT,
    },
    "phi3": {
        **FUSED,
        "o": ["self_attn.o_proj"],
        "gate": ["mlp.gate_up_proj"],
        "up": ["mlp.gate_up_proj"],
        "down": ["mlp.down_proj"],
    },
}


def tiny(family: str) -> PreTrainedModel:
    """A random model of 3 blocks of width 16 and 40 tokens."""
    settings = {
        "gpt2": GPT,
        "gptj": {**GPT, "rotary_dim": 4},
        "gpt_neo": {**COMMON, **NEO},
        "opt": {**COMMON, **OPT},
        "mixtral": {**COMMON, **MOE},
        "olmoe": {**COMMON, **MOE},
        "falcon": {key: value for key, value in COMMON.items() if key != "head_dim"},
    }.get(family, COMMON)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings)).eval()


@pytest.mark.parametrize("family", LAYERS)
def test_blocks_embeddings_and_head(family: str) -> None:
    model = tiny(family)
    found = anatomy.blocks(model)
    assert len(found) == 3
    assert len({id(block) for block in found}) == 3
    ids = torch.tensor([[1, 2, 3]])
    assert anatomy.embeddings(model)(ids).shape == (1, 3, 16)
    norm, projection = anatomy.head_modules(model)
    assert projection(norm(torch.randn(1, 3, 16))).shape == (1, 3, 40)


@pytest.mark.parametrize("family", LAYERS)
def test_parts_run_once_a_block(family: str) -> None:
    model = tiny(family)
    ran: list[nn.Module] = []
    kinds = (ModuleKind.block, ModuleKind.mlp, ModuleKind.attention)
    expected = [anatomy.part(block, kind) for block in anatomy.blocks(model) for kind in kinds]
    handles = [module.register_forward_hook(lambda module, _a, _o: ran.append(module)) for module in expected]
    model(torch.tensor([[1, 2, 3]]))
    for handle in handles:
        handle.remove()
    assert len(ran) == 9
    assert {id(module) for module in ran} == {id(module) for module in expected}


@pytest.mark.parametrize("family", LAYERS)
def test_linear_layers(family: str) -> None:
    for block in anatomy.blocks(tiny(family)):
        assert anatomy.linear_layers(block) == LAYERS[family]
        for names in LAYERS[family].values():
            assert all(isinstance(block.get_submodule(name), nn.Module) for name in names)


def test_opt_has_layers_but_no_mlp_module() -> None:
    block = anatomy.blocks(tiny("opt"))[0]
    with pytest.raises(InputError, match=r"OPTDecoderLayer: no mlp among its parts \(self_attn, .*fc1, fc2"):
        anatomy.part(block, ModuleKind.mlp)
    assert anatomy.linear_layers(block)["up"] == ["fc1"]
    assert anatomy.linear_layers(block)["down"] == ["fc2"]


def test_bloom_is_refused_by_name() -> None:
    config = AutoConfig.for_model("bloom", vocab_size=40, hidden_size=16, n_layer=2, n_head=2)
    with pytest.raises(InputError, match="model_type=bloom: not supported"):
        anatomy.blocks(AutoModelForCausalLM.from_config(config))


def test_errors_name_what_is_missing() -> None:
    model = tiny("llama")
    model.config.num_hidden_layers = 7
    with pytest.raises(InputError, match="model_type=llama: its decoder has no list of 7 blocks"):
        anatomy.blocks(model)
    with pytest.raises(InputError, match="Sequential: no attention among its parts"):
        anatomy.linear_layers(nn.Sequential(nn.ReLU()))
