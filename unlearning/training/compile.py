"""Layers compiled by torch.compile while a model is trained."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from unlearning.models import anatomy


@contextmanager
def compiled_layers(model: PreTrainedModel, backend: str | Callable[..., object] = "inductor") -> Iterator[None]:
    """While open, the forward pass of each layer is compiled, for any length and number of packs.

    Not the module itself (`nn.Module.compile`): hooks on a layer, by which objectives read its output and known first
    layers are left out, would be compiled into it, and those that come or go later not be seen. Layers of one kind
    share their code.

    "inductor" needs a C++ compiler on a CPU, and Triton on a GPU; `backend` is any of torch.compile's.
    """
    with ExitStack() as stack:
        # What is compiled is kept by the source line that it came from: the next run's would count as its variants.
        stack.callback(torch.compiler.reset)
        for layer in anatomy.layers(model):
            stack.enter_context(_compiled(layer, backend))
        yield


@contextmanager
def _compiled(layer: nn.Module, backend: str | Callable[..., object]) -> Iterator[None]:
    own = vars(layer).get("forward")  # set by libraries that spread a model over devices
    layer.forward = torch.compile(layer.forward, dynamic=True, backend=backend)
    try:
        yield
    finally:
        del layer.forward
        if own is not None:
            layer.forward = own
