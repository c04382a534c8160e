"""The type of the weights that are scored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from unlearning.config.evaluation import Precision

OFFICIAL = torch.bfloat16


@contextmanager
def weights_in(precision: Precision, model: PreTrainedModel) -> Iterator[None]:
    """While open, the model's weights have the type of `precision`; afterwards they are as they were, bit for bit.

    The result is that of `from_pretrained(dtype=bfloat16)`: what a checkpoint holds is cast, but for the few weights
    that an architecture keeps in float32, and what is computed when a model is made, such as rotary frequencies, is
    not. The model may move to another device meanwhile; both sets of weights are held in memory.
    """
    if precision is Precision.own:
        yield
        return
    kept = set(model._keep_in_fp32_modules_strict or ())
    tensors = {id(tensor): (name, tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    cast = [one for name, one in tensors.values() if one.is_floating_point() and kept.isdisjoint(name.split("."))]
    own = [tensor.data for tensor in cast]
    try:
        for tensor in cast:
            tensor.data = tensor.data.to(OFFICIAL)
        yield
    finally:
        for tensor, before in zip(cast, own, strict=True):
            tensor.data = before.to(tensor.device)
