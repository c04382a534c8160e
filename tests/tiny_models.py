"""Random models of a few thousand parameters, of every family."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    # Grouped kernels, the default, do not run in float64.
    "experts_implementation": "eager",
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24, "moe_intermediate_size": 24}
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
SPECIAL: dict[str, dict[str, Any]] = {
    "gpt2": NO_DROPOUT,
    "gptj": {"rotary_dim": 4},
    "gpt_neo": {"window_size": 4},
    "falcon": {"ffn_hidden_size": 48},
    "mistral": {"sliding_window": 8},
    "olmo3": {"sliding_window": 4},
    "gemma2": {"sliding_window": 4, "query_pre_attn_scalar": 8},
    "gemma3_text": {"sliding_window": 8, "sliding_window_pattern": 2},
    "granite": {"embedding_multiplier": 2.0, "residual_multiplier": 0.5, "logits_scaling": 4.0},
    "smollm3": {"num_key_value_heads": 2, "no_rope_layer_interval": 2},
    "mixtral": {**EXPERTS, "sliding_window": 4},
    "olmoe": EXPERTS,
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3_moe": EXPERTS,
    "gpt_oss": {**EXPERTS, "sliding_window": 4, "max_position_embeddings": 131072},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0},
    "starcoder2": {"num_key_value_heads": 2},
    "cohere": {"logit_scale": 0.5},
}
FAMILIES = ("olmo", "olmo2", "llama", "mistral", "gemma3_text", "qwen3", "gpt_neox", "gpt2")
ALL_FAMILIES = (
    *FAMILIES,
    *("olmo3", "qwen2", "gemma", "gemma2", "granite", "smollm3", "gptj", "gpt_neo", "falcon", "phi3"),
    *("mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "gpt_oss", "opt"),
    *("stablelm", "cohere", "starcoder2", "phi", "glm"),
)
"""All that can be traced. bloom can be built too, and is refused."""
LINEAR = {
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_expand": 2,
    "mamba_chunk_size": 16,
}
MAMBA_2 = {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1, "expand": 2, "chunk_size": 16}
SPECIAL |= {
    "qwen3_5_text": LINEAR,
    "qwen3_next": {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 16},
    "olmo_hybrid": LINEAR,
    "bamba": MAMBA,
    "falcon_h1": {**MAMBA, "mamba_d_ssm": 64},
    "granitemoehybrid": {**MAMBA, "num_local_experts": 0, "shared_intermediate_size": 48},
    "nemotron_h": {
        **{"mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 16},
        **{"n_routed_experts": 4, "moe_intermediate_size": 24, "moe_shared_expert_intermediate_size": 24},
    },
    "zamba2": {**MAMBA, "mamba_headdim": 16, "n_mamba_heads": 4, "num_mem_blocks": 1, "chunk_size": 16},
    "mamba": {"state_size": 8},
    "mamba2": MAMBA_2,
}
STATEFUL = ("qwen3_5_text", "qwen3_next", "olmo_hybrid", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h")
STATEFUL += ("zamba2", "mamba", "mamba2")
"""Families whose layers, or every second one of them, keep a state in place of keys and values."""
EAGER_ONLY = ("gemma2", "gptj", "gpt_neo", "gpt_oss", "bloom", "mamba", "mamba2")
"""Families for which transformers has no attention but its own."""


def tiny_model(family: str, seed: int = 0, **changes: object) -> PreTrainedModel:
    """Return a random causal language model without dropout, in evaluation mode.

    Shapes go by SHAPE's names in every family, `num_hidden_layers` for one.
    """
    torch.manual_seed(seed)
    config_class = CONFIG_MAPPING[family]
    attention = {"attn_implementation": "eager" if family in EAGER_ONLY else "sdpa"}
    settings = {
        config_class.attribute_map.get(key, key): value
        for key, value in {**SHAPE, **attention, **SPECIAL.get(family, {}), **changes}.items()
    }
    if family == "falcon":
        del settings["head_dim"]
    if family == "gpt_neo":
        kinds = (["global", "local"] * settings["num_layers"])[: settings["num_layers"]]
        settings["attention_types"] = [[kinds, 1]]
    settings |= layer_kinds(family, settings.get("num_hidden_layers", SHAPE["num_hidden_layers"]))
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config_class(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            # Twenty times the usual scale, so that attention and MLPs matter to the loss.
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.4)
    return model.eval()


def layer_kinds(family: str, depth: int) -> dict[str, list[str] | list[int]]:
    """Return the setting of a hybrid family by which every second layer has attention; none for other families."""

    def alternating(first: str, second: str) -> list[str]:
        return [second if layer % 2 else first for layer in range(depth)]

    linear = {"layer_types": alternating("linear_attention", "full_attention")}
    return {
        "qwen3_5_text": linear,
        "qwen3_next": linear,
        "olmo_hybrid": linear,
        "granitemoehybrid": {"layer_types": alternating("mamba", "attention")},
        "bamba": {"attn_layer_indices": list(range(1, depth, 2))},
        "nemotron_h": {"layers_block_type": ["linear_attention", "full_attention", "mlp", "moe"][:depth]},
        "zamba2": {"layers_block_type": alternating("mamba", "hybrid")},
    }.get(family, {})
