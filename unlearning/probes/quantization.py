"""The quantization probe: does rounding the weights to few bits undo the small updates of unlearning?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from unlearning.config.probe import Measured
from unlearning.models import anatomy
from unlearning.probes.forget_answers import MEASURES, measure_forget_rows
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel
from unlearning.probes.weights import restored_afterwards

LEAST_SHARE = 0.5
"""Least share of layer weights in linear modules. With less, as beside fused experts, rounding them says little."""


@dataclass(frozen=True)
class Quantized:
    """The score when the weights of the layers' linear modules are rounded to the nearest level, on any device.

    Unlearning moves weights by less than a step of a coarse grid, so rounding may undo it: with 4 bits from 21% of the
    forgotten knowledge to 83% (Zhang et al. 2024, arXiv 2410.16454). Embeddings and head are not rounded.
    """

    bits: int
    group: int | None
    measured: Measured

    @property
    def title(self) -> str:
        """The number of bits, and which weights share a scale."""
        shared = "one scale an output channel" if self.group is None else f"one scale for {self.group} weights"
        return f"weights in {self.bits} bits, {shared}"

    @property
    def measure(self) -> str:
        """The measure of the model's answers."""
        return MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Round the weights, ask the model, and restore the weights."""
        modules = linear_modules(probed.model)
        with restored_afterwards(probed.model, [_weight(module) for module in modules]):
            with torch.no_grad():
                for module in modules:
                    _weight(module).copy_(_rounded_weight(module, self.bits, self.group))
            return measure_forget_rows(probed, self.measured)


def linear_modules(model: PreTrainedModel) -> list[nn.Linear | Conv1D]:
    """Return all linear modules of all layers. Raises DoesNotApplyError if most of the weights are in other modules."""
    layers = anatomy.layers(model)
    modules = [module for layer in layers for module in layer.modules() if isinstance(module, nn.Linear | Conv1D)]
    share = sum(module.weight.numel() for module in modules) / sum(w.numel() for b in layers for w in b.parameters())
    if share < LEAST_SHARE:
        raise DoesNotApplyError(
            f"only {share:.0%} of the layers' weights are in linear modules, which alone are rounded"
        )
    return modules


def rounded(weight: Tensor, bits: int, group: int | None) -> Tensor:
    """Return scale * round(weight / scale) with scale = max |weight| / (2^(bits-1) - 1), of a weight (outputs, inputs).

    Each output channel has its own scale; with `group` it has one for each group of so many inputs, of which the last
    may be smaller. Halves are rounded to even, and all is computed in float32 or better. A group of zeros stays zero.
    """
    levels = 2 ** (bits - 1) - 1
    parts = []
    precise = weight.to(torch.promote_types(weight.dtype, torch.float32))
    for part in torch.split(precise, group or weight.shape[1], dim=1):
        scale = part.abs().amax(dim=1, keepdim=True) / levels
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        parts.append((part / scale).round().clamp(-levels, levels) * scale)
    return torch.cat(parts, dim=1).to(weight.dtype)


def _weight(module: nn.Linear | Conv1D) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def _rounded_weight(module: nn.Linear | Conv1D, bits: int, group: int | None) -> Tensor:
    """Return the rounded weight of a module; GPT-2's modules keep their weight transposed."""
    if isinstance(module, Conv1D):
        return rounded(_weight(module).T, bits, group).T
    return rounded(_weight(module), bits, group)
