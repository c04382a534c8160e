"""The bytes that a forward pass keeps for the backward pass, counted for any architecture without computing anything.

PyTorch's fake tensors have shapes and types and no values. The decoder is run on them, and what autograd saves is
summed up. This takes a second or two, and no memory, whatever the size of the model.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearning.models import anatomy
from unlearning.training.row_model import plain_model


@dataclass(frozen=True)
class Activations:
    """What the backward pass needs of one model under one scope."""

    pack_tokens: int
    pack_bytes: int
    """Bytes of one pack of so many tokens."""
    copies_bytes: int
    """Bytes that are kept once, however many packs there are: bfloat16 copies of weights, with bf16-mixed."""


def count_activations(scoped: nn.Module, pack_tokens: int, mixed: bool) -> Activations | None:
    """Return the bytes that packs of so many tokens, of two rows each, keep; `mixed` is bf16-mixed.

    The model's weights are on the meta device. None for an architecture that cannot be run without values.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    copied = deepcopy(scoped).train()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            model = _with_fake_weights(copied)
            one, two = (_kept_bytes(model, packs, pack_tokens, mixed) for packs in (1, 2))
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, NotImplementedError, ImportError):
        return None
    return Activations(pack_tokens=pack_tokens, pack_bytes=two - one, copies_bytes=2 * one - two)


def _with_fake_weights(model: nn.Module) -> nn.Module:
    """Return the model with weights and buffers of the same shapes and types, which count as being on the CPU."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False, remove_duplicate=False):
            empty = torch.empty(weight.shape, dtype=weight.dtype)
            module._parameters[name] = made.setdefault(id(weight), nn.Parameter(empty, weight.requires_grad))  # type: ignore[assignment]
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return model


def _kept_bytes(scoped: nn.Module, packs: int, tokens: int, mixed: bool) -> int:
    """Return the bytes of all tensors that autograd saves in the decoder, but for the weights themselves."""
    weights = {weight.untyped_storage()._cdata for weight in scoped.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    rows = (torch.arange(tokens // 2), torch.arange(tokens - tokens // 2))
    positions = torch.cat(rows).repeat(packs, 1)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        ids = torch.zeros((packs, tokens), dtype=torch.long)
        # The output must live until the sum is taken: what it keeps is freed with it.
        output = anatomy.decoder(plain_model(scoped))(input_ids=ids, position_ids=positions, use_cache=False)
        found = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
    del output
    return found
