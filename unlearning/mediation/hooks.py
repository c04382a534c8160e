"""Two context managers that reach into a running model and always let go of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]
"""From a module's output (rows, T, width) to what takes its place; it must leave its argument as it is."""


@contextmanager
def edited(edits: Mapping[nn.Module, Edit]) -> Iterator[None]:
    """Pass each module's output through its edit, until the block is left, by an exception too.

    Where a module returns a tuple (attention with its weights) the edit sees the first entry, the others stay.
    """
    handles = []
    try:
        for module, edit in edits.items():
            handles.append(module.register_forward_hook(_output_hook(edit)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def grown(blocks: Sequence[nn.Module], joining: Mapping[int, Tensor], rows: int) -> Iterator[None]:
    """Let more rows join the batch of `rows` rows on the way up, each a copy of one of the first.

    `joining[l]` (M,) are the rows that are copied before block l, their copies going to the end: a state that
    differs from the corrupted run from block l on needs no computation below l. The model is fed the same tokens
    in every row, so whatever else is laid out by row, such as an attention mask, may be copied in the same way.
    """
    handles = []
    sources = torch.arange(rows)
    try:
        for number, block in enumerate(blocks):
            new = joining.get(number, sources[:0])
            sources = torch.cat([sources, new])
            hook = _input_hook(new, sources, rows)
            handles.append(block.register_forward_pre_hook(hook, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _output_hook(edit: Edit) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (edit(output[0]), *output[1:])
        return edit(output)

    return hook


def _input_hook(new: Tensor, sources: Tensor, rows: int) -> Callable[[nn.Module, Any, Any], Any]:
    """To the hidden states join `new`; all else that has `rows` rows is laid out anew for `sources`."""

    def hook(_module: nn.Module, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        hidden = inputs[0] if inputs else settings["hidden_states"]

        def longer(tensor: Tensor) -> Tensor:
            if tensor is hidden:
                return torch.cat([tensor, tensor[new.to(tensor.device)]]) if len(new) else tensor
            # A mask or rotary table that is the same for all rows has a first axis of 1 and is broadcast.
            by_row = tensor.dim() >= 3 and tensor.shape[0] == rows > 1
            return tensor[sources.to(tensor.device)] if by_row else tensor

        return _mapped(inputs, longer), _mapped(settings, longer)

    return hook


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The value with every tensor in it changed, through tuples and dictionaries."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is tuple:
        return tuple(_mapped(item, change) for item in value)
    if type(value) is dict:
        return {key: _mapped(item, change) for key, item in value.items()}
    return value
