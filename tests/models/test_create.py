"""Created models have the configured shape in every architecture, and local attention is local."""

import pytest
import torch
from transformers import PreTrainedModel

from unlearning.config.model import Architecture, ModelConfig
from unlearning.models.anatomy import layers
from unlearning.models.create import LOCAL_ATTENTION_TOKENS, create_model

SHAPE = {"name": "made", "width": 32, "heads": 4}


def made(architecture: Architecture, depth: int) -> PreTrainedModel:
    """Return a model with a vocabulary of 64 tokens, in double precision."""
    config = ModelConfig(architecture=architecture, layers=depth, **SHAPE)  # type: ignore[arg-type]
    model: PreTrainedModel = create_model(config, 64, eos=0, pad=1, seed=0).double().eval()
    return model


def moved(model: PreTrainedModel) -> list[int]:
    """Return the positions whose logits change when the first token does."""
    tokens = torch.arange(2, 2 + 2 * LOCAL_ATTENTION_TOKENS)[None]
    other = tokens.clone()
    other[0, 0] = 63
    with torch.no_grad():
        difference = (model(tokens).logits - model(other).logits).abs().amax((0, 2))
    return [int(place) for place in torch.nonzero(difference > 1e-12)]


@pytest.mark.parametrize("architecture", Architecture)
def test_every_architecture_has_its_layers(architecture: Architecture) -> None:
    """The anatomy finds three layers, and the same seed gives the same weights."""
    model = made(architecture, 3)
    assert len(layers(model)) == 3
    again = made(architecture, 3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("architecture", Architecture)
def test_one_layer_sees_all_tokens_or_a_window(architecture: Architecture) -> None:
    """The first token changes the logits at every position, or at those of the window where the only layer has one."""
    local = architecture in (Architecture.mistral, Architecture.gemma3)
    seen = LOCAL_ATTENTION_TOKENS if local else 2 * LOCAL_ATTENTION_TOKENS
    assert moved(made(architecture, 1)) == list(range(seen))


def test_every_third_layer_of_gemma3_is_global() -> None:
    """Three layers reach all positions; two reach two windows, less the token that both count."""
    assert moved(made(Architecture.gemma3, 3)) == list(range(2 * LOCAL_ATTENTION_TOKENS))
    assert moved(made(Architecture.gemma3, 2)) == list(range(2 * LOCAL_ATTENTION_TOKENS - 1))
