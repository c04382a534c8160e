"""Random models of a few thousand parameters, one a family."""

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
}
SPECIAL = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "mistral": {"sliding_window": 8},
    "gemma3_text": {"sliding_window": 8},
}
FAMILIES = ("olmo", "olmo2", "llama", "mistral", "gemma3_text", "qwen3", "gpt_neox", "gpt2")


def tiny_model(family: str, seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random causal language model without dropout, in evaluation mode."""
    torch.manual_seed(seed)
    settings = {**SHAPE, **SPECIAL.get(family, {}), **changes}
    if family == "gpt2":
        settings = {key: value for key, value in settings.items() if key not in ("hidden_size", "num_hidden_layers")}
    config = CONFIG_MAPPING[family](**settings)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    with torch.no_grad():
        for parameter in model.parameters():
            # Twenty times the usual scale, so that attention and MLPs matter to the loss.
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.4)
    return model.eval()
