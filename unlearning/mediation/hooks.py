"""Two context managers that reach into a running model and always let go of it."""

from collections.abc import Callable, Iterator, Mapping
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
def grown(rows_at: Mapping[nn.Module, Tensor]) -> Iterator[None]:
    """Let more rows join the batch on the way up, as copies of rows that are already there.

    `rows_at[block]` (M,) are indices into the rows so far, one for each row that joins before `block`: a state
    that differs from the corrupted run from block l on needs no computation below l. The model sees the same
    tokens in every row, so whatever else is laid out by row is copied in the same way.
    """
    handles = []
    try:
        for block, index in rows_at.items():
            handles.append(block.register_forward_pre_hook(_input_hook(index), with_kwargs=True))
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


def _input_hook(index: Tensor) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(_module: nn.Module, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        hidden = inputs[0] if inputs else settings["hidden_states"]
        rows = hidden.shape[0]

        def longer(tensor: Tensor) -> Tensor:
            # A mask or rotary table for all rows at once has a first axis of 1 and is broadcast.
            by_row = tensor is hidden or (tensor.dim() >= 3 and tensor.shape[0] == rows > 1)
            return torch.cat([tensor, tensor[index]]) if by_row else tensor

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
