"""Weights rounded to few bits: what do the small updates of unlearning survive?"""

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
"""Of the layers' weights; where linear modules have less, as beside fused experts, rounding them would say little."""


@dataclass(frozen=True)
class Quantized:
    """Knowledge with the layers' linear modules rounded to nearest, simulated on any device.

    Unlearning moves weights by less than a step of a coarse grid, so that rounding may undo it: from 21% of the
    forgotten knowledge to 83% with 4 bits (Zhang et al. 2024, arXiv 2410.16454). Embeddings and head stay as they are.
    """

    bits: int
    group: int | None
    measured: Measured

    @property
    def title(self) -> str:
        """Bits, and what shares a scale."""
        shared = "one scale an output channel" if self.group is None else f"one scale for {self.group} weights"
        return f"weights in {self.bits} bits, {shared}"

    @property
    def measure(self) -> str:
        """Of what it knows."""
        return MEASURES[self.measured]

    def run(self, probed: ProbedModel) -> Measurement:
        """Round, ask, put the weights back."""
        modules = linear_modules(probed.model)
        with restored_afterwards(probed.model, [_weight(module) for module in modules]):
            with torch.no_grad():
                for module in modules:
                    _weight(module).copy_(_rounded_weight(module, self.bits, self.group))
            return measure_forget_rows(probed, self.measured)


def linear_modules(model: PreTrainedModel) -> list[nn.Linear | Conv1D]:
    """All linear modules of all layers. Raises DoesNotApplyError where most of the layers' weights are elsewhere."""
    layers = anatomy.layers(model)
    modules = [module for layer in layers for module in layer.modules() if isinstance(module, nn.Linear | Conv1D)]
    share = sum(module.weight.numel() for module in modules) / sum(w.numel() for b in layers for w in b.parameters())
    if share < LEAST_SHARE:
        raise DoesNotApplyError(
            f"only {share:.0%} of the layers' weights are in linear modules, which alone are rounded"
        )
    return modules


def rounded(weight: Tensor, bits: int, group: int | None) -> Tensor:
    """scale * round(weight / scale), scale = max |weight| / (2^(bits-1) - 1), of a weight (outputs, inputs).

    Each output channel has a scale of its own, and with `group` one for every so many inputs, the last group possibly
    smaller. Halves are rounded to even, computed in float32 or better; an all-zero group stays zero.
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
    """GPT-2's modules keep their weight transposed."""
    if isinstance(module, Conv1D):
        return rounded(_weight(module).T, bits, group).T
    return rounded(_weight(module), bits, group)
