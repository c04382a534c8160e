"""Creates a model with random weights, in any of the architectures that the sandbox can be built in."""

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OlmoConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from unlearning.config.model import Architecture, ModelConfig

LONGEST_SEQUENCE_TOKENS = 512
MLP_RATIO_GATED = 3
"""Inner width of a gated MLP divided by the width: its three matrices are about as large as two of ratio 4."""
MLP_RATIO = 4
LOCAL_ATTENTION_TOKENS = 16
"""Tokens that a layer with local attention sees: fewer than the sandbox's texts have, so that it makes a difference."""
LAYERS_A_GLOBAL = 3
"""Every third layer of Gemma3 sees all tokens, so that 8 layers have two of these (released models: every sixth)."""


def create_model(model: ModelConfig, vocabulary_size: int, eos: int, pad: int, seed: int) -> PreTrainedModel:
    """Return a model with float32 weights drawn from `seed`; PyTorch's own random state stays as it was."""
    config = model_config(model, vocabulary_size, eos, pad)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        created: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation=model.attention
        )
    return created


def model_config(model: ModelConfig, vocabulary_size: int, eos: int, pad: int) -> PretrainedConfig:
    """Return the Transformers configuration of `model.architecture` with the configured depth and width.

    OLMo is as in OLMo-1B-0724: its norms have no parameters, its output projection is not tied. All layers of Mistral
    have local attention (without it they would be Llama's); of Gemma3 all but every third.
    """
    gated = {
        "vocab_size": vocabulary_size,
        "hidden_size": model.width,
        "intermediate_size": MLP_RATIO_GATED * model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.heads,
        "max_position_embeddings": LONGEST_SEQUENCE_TOKENS,
        "tie_word_embeddings": False,
    }
    special = {"bos_token_id": None, "eos_token_id": eos, "pad_token_id": pad}
    match model.architecture:
        case Architecture.olmo:
            return OlmoConfig(**gated, **special)
        case Architecture.llama:
            return LlamaConfig(**gated, **special)
        case Architecture.mistral:
            return MistralConfig(**gated, **special, sliding_window=LOCAL_ATTENTION_TOKENS)
        case Architecture.olmo2:
            return Olmo2Config(**gated, **special)
        case Architecture.gemma3:
            head = model.width // model.heads
            return Gemma3TextConfig(
                **gated,
                **special,
                head_dim=head,
                query_pre_attn_scalar=head,
                sliding_window=LOCAL_ATTENTION_TOKENS,
                layer_types=[
                    "sliding_attention" if layer % LAYERS_A_GLOBAL else "full_attention"
                    for layer in range(1, model.layers + 1)
                ],
            )
        case Architecture.gpt_neox:
            return GPTNeoXConfig(**{**gated, "intermediate_size": MLP_RATIO * model.width}, **special)
        case Architecture.gpt2:
            return GPT2Config(
                vocab_size=vocabulary_size,
                n_positions=LONGEST_SEQUENCE_TOKENS,
                n_embd=model.width,
                n_layer=model.layers,
                n_head=model.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **special,
            )
