"""Dropout is on while a model is trained if its configuration says so, and can be switched off."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.tiny_models import tiny_model
from unlearning.config.model import ModelConfig
from unlearning.models.dropout import has_dropout
from unlearning.models.load import load_model

DROPS = {
    "gpt2": {"resid_pdrop": 0.1, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "opt": {"dropout": 0.1},
    # A function of PyTorch's drops here, and no module.
    "llama": {"attention_dropout": 0.5},
}


def training_logits(model: PreTrainedModel) -> Tensor:
    return model.train()(torch.arange(3, 40)[None]).logits.detach()


@pytest.mark.parametrize("family", DROPS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_dropout_is_the_configurations_unless_switched_off(family: str, attention: str, tmp_path: Path) -> None:
    """Without it, two passes in training mode give the same bits, which are those of evaluation."""
    tiny_model(family, **DROPS[family]).save_pretrained(tmp_path)
    named = ModelConfig(name="local", attention=attention)
    as_named = load_model(str(tmp_path), named, torch.float32)
    assert has_dropout(as_named)
    assert not torch.equal(training_logits(as_named), training_logits(as_named))
    without = ModelConfig(name="local", attention=attention, dropout=False)
    off = load_model(str(tmp_path), without, torch.float32)
    assert not has_dropout(off)
    trained = training_logits(off)
    assert torch.equal(trained, training_logits(off))
    assert torch.equal(trained, off.eval()(torch.arange(3, 40)[None]).logits)
