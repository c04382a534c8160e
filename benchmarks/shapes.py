"""Models of real shapes with random weights, for measurements that do not depend on what a model knows."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, OlmoConfig, PretrainedConfig, PreTrainedModel

from unlearning.config.model import ModelConfig
from unlearning.models.create import create_model

SHARD = "1GB"
SMALL, LAYERS = "small", 8
"""A shape of any width, and its depth."""
VOCABULARY, EOS, PAD = 50304, 50279, 1
"""Those of OLMo, whose tokenizer makes the rows of every benchmark."""
SHAPES: dict[str, PretrainedConfig] = {
    # allenai/OLMo-1B-0724-hf: 1,279,787,008 weights
    "olmo_1b": OlmoConfig(
        vocab_size=VOCABULARY,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=16,
        num_key_value_heads=16,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    ),
    # HuggingFaceTB/SmolLM2-135M: 134,515,008 weights
    "smollm2_135m": LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=2,
    ),
}


def random_model(shape: str, width: int) -> PreTrainedModel:
    """Return a model in float32 with random weights and OLMo's vocabulary; only the small shape has the `width`."""
    if shape == SMALL:
        small = ModelConfig(name="olmo", layers=LAYERS, width=width, heads=width // 64)
        return create_model(small, VOCABULARY, EOS, PAD, 0)
    config = SHAPES[shape].__class__.from_dict({**SHAPES[shape].to_dict(), "vocab_size": VOCABULARY})
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    return model


def write_random_model(shape: str, folder: Path, dtype: torch.dtype, layers: int | None = None) -> None:
    """Write a model of this shape, with the same random weights each time, in files of 1 GB; once.

    `layers` is a number of layers other than the shape's own.
    """
    if (folder / "config.json").exists():
        return
    config = SHAPES[shape].__class__.from_dict(SHAPES[shape].to_dict())
    config.num_hidden_layers = layers or config.num_hidden_layers
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    partial = folder.with_name(f"{folder.name}.partial")
    model.save_pretrained(partial, max_shard_size=SHARD)
    partial.rename(folder)
