"""Compiles a model's layers by torch.compile while it is trained."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from unlearning.models import anatomy


@contextmanager
def compiled_layers(model: PreTrainedModel, backend: str | Callable[..., object] = "inductor") -> Iterator[None]:
    """While open, run the forward pass of each layer compiled, for any length and number of packs.

    The module itself is not compiled (`nn.Module.compile`): its hooks, by which objectives read a layer's output and
    frozen first layers are skipped, would be compiled too, and later changes of the hooks would not be seen. Layers of
    one kind share their code.

    `backend` is any of torch.compile's; "inductor" needs a C++ compiler on a CPU, and Triton on a GPU.
    """
    with ExitStack() as stack:
        # Compiled code is kept by the source line that it came from: the next run's would count as variants of it.
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
