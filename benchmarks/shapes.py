"""Random models for benchmarks: a small one of any width, and others in the shapes of released models."""

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, OlmoConfig, PretrainedConfig, PreTrainedModel

from unlearning.config.model import ModelConfig
from unlearning.models.create import create_model

SMALL, LAYERS = "small", 8
VOCABULARY, EOS, PAD = 50304, 50279, 1
"""Those of OLMo, whose tokenizer makes the rows of every shape."""
RELEASED: dict[str, PretrainedConfig] = {
    "smollm2_135m": LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    ),
    "olmo_1b": OlmoConfig(
        vocab_size=VOCABULARY,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=16,
        max_position_embeddings=4096,
        clip_qkv=8.0,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    ),
}
"""As HuggingFaceTB/SmolLM2-135M and allenai/OLMo-1B-0724-hf say in their config.json, with OLMo's vocabulary."""
SHAPES = (SMALL, *RELEASED)


def random_model(shape: str, width: int) -> PreTrainedModel:
    """Return a model of this shape in float32 with random weights; only the small one has the `width`."""
    if shape == SMALL:
        return create_model(
            ModelConfig(name="olmo", layers=LAYERS, width=width, heads=width // 64), VOCABULARY, EOS, PAD, 0
        )
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        RELEASED[shape], dtype=torch.float32, attn_implementation="sdpa"
    )
    return model
