"""Rounding, worked out by hand, and the weights that are rounded."""

import pytest
import torch
from torch import nn

from tests.probes.world import probed
from tests.tiny_models import tiny_model
from unlearning.config.probe import Measured
from unlearning.models import anatomy
from unlearning.probes.probe import DoesNotApplyError
from unlearning.probes.quantization import Quantized, linear_modules, rounded


def test_rounding_of_one_channel_by_hand() -> None:
    """3 bits have levels -3 to 3. Row 1: scale 0.9 / 3 = 0.3, so -0.9, 0.5, 0.1 are -3, 1.67, 0.33 steps: -3, 2, 0.

    Row 2: scale 6 / 3 = 2, so 6, -1.1, 3 are 3, -0.55, 1.5 steps: 3, -1, and the half goes to the even 2.
    """
    weight = torch.tensor([[-0.9, 0.5, 0.1], [6.0, -1.1, 3.0]])
    expected = torch.tensor([[-0.9, 0.6, 0.0], [6.0, -2.0, 4.0]])
    assert torch.allclose(rounded(weight, 3, None), expected)


def test_groups_have_scales_of_their_own() -> None:
    """Groups of 2 of [4, 1 | 0.3, 0.1 | 0.5] have scales 4/3, 0.1, 0.5/3; 1 is 0.75 steps, so 1 step of 4/3."""
    weight = torch.tensor([[4.0, 1.0, 0.3, 0.1, 0.5]])
    assert torch.allclose(rounded(weight, 3, 2), torch.tensor([[4.0, 4 / 3, 0.3, 0.1, 0.5]]))
    assert torch.allclose(rounded(weight, 3, None), torch.tensor([[4.0, 4 / 3, 0.0, 0.0, 0.0]]))


def test_zeros_stay_zero() -> None:
    """A channel of zeros has no scale."""
    assert torch.equal(rounded(torch.zeros(2, 3), 4, None), torch.zeros(2, 3))


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_is_idempotent_and_within_half_a_step(bits: int) -> None:
    """A channel has at most 2 * (2^(bits-1) - 1) + 1 different values."""
    weight = torch.randn(3, 400, generator=torch.Generator().manual_seed(0))
    once, levels = rounded(weight, bits, None), 2 ** (bits - 1) - 1
    assert torch.allclose(rounded(once, bits, None), once, atol=1e-6)
    step = weight.abs().amax(1, keepdim=True) / levels
    assert ((once - weight).abs() <= step / 2 + 1e-6).all()
    assert all(len(row.unique()) <= 2 * levels + 1 for row in once)


def test_conv1d_is_rounded_by_output_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPT-2 keeps its weights transposed, so each column has one scale."""
    asked = probed(tiny_model("gpt2"))
    seen = {}

    def looked(_probed: object, _measured: object) -> None:
        for number, module in enumerate(linear_modules(asked.model)):
            seen[number] = module.weight.detach().clone()

    monkeypatch.setattr("unlearning.probes.quantization.measure_forget_rows", looked)
    before = [module.weight.detach().clone() for module in linear_modules(asked.model)]
    Quantized(bits=4, group=None, measured=Measured.knowledge).run(asked)
    assert len(before) == 8
    for number, weight in enumerate(before):
        assert torch.equal(seen[number], rounded(weight.T, 4, None).T)
        assert torch.equal(linear_modules(asked.model)[number].weight, weight)


def test_embeddings_and_head_are_left_alone() -> None:
    """The seven matrices of each layer of OLMo are rounded, and nothing else."""
    model = tiny_model("olmo")
    inside = {id(module) for layer in anatomy.layers(model) for module in layer.modules()}
    modules = linear_modules(model)
    assert len(modules) == 14
    assert all(id(module) in inside and isinstance(module, nn.Linear) for module in modules)


def test_fused_experts_are_refused() -> None:
    """Where most weights are in no linear module, rounding the rest would not be int4."""
    with pytest.raises(DoesNotApplyError, match="% of the layers' weights"):
        linear_modules(tiny_model("olmoe", hidden_size=32, intermediate_size=96))
