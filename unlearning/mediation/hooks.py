"""Context managers that reach into a running model and always let go of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearning.errors import InputError

Edit = Callable[[Tensor], Tensor]
"""From hidden states (rows, T, width) to what takes their place; it must leave its argument as it is."""


@contextmanager
def edited(edits: Mapping[nn.Module, Edit], tokens: int) -> Iterator[None]:
    """Pass each module's output through its edit, until the layer is left, by an exception too.

    Where a module returns a tuple (attention with its weights) the edit sees the first entry, the others stay. Where
    it lays rows of `tokens` tokens out one after another, (rows * T, width), the edit sees (rows, T, width).
    """
    with ExitStack() as stack:
        for module, edit in edits.items():
            stack.callback(module.register_forward_hook(_output_hook(edit, tokens)).remove)
        yield


@contextmanager
def grown(
    modules: Sequence[nn.Module], joining: Mapping[int, Tensor], entering: Mapping[int, Edit], rows: int
) -> Iterator[None]:
    """Let more rows join the batch of `rows` rows on the way up, each a copy of one that is there.

    `joining[l]` (M,) are the rows that are copied before module l, their copies going to the end: a state that
    differs from another one from layer l on needs no computation below l. `entering[l]` then edits the input.
    What else a module is given row by row, such as an attention mask, is copied in the same way.
    """
    origins = torch.arange(rows)
    with ExitStack() as stack:
        for number, module in enumerate(modules):
            new = joining.get(number, origins[:0])
            origins = torch.cat([origins, origins[new]])
            hook = _input_hook(new, origins, rows, entering.get(number))
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


@contextmanager
def visited(
    modules: Sequence[nn.Module], visitors: Mapping[int, Tensor], leaving: Mapping[int, list[Tensor]], rows: int
) -> Iterator[None]:
    """Let copies of some of the `rows` rows pass through a single module each.

    `visitors[l]` (M,) are the rows that are copied before module l; what it makes of the copies, (M, T, width), is
    added to `leaving[l]`, and the batch is what it was. The last module has no visitors.
    """
    nobody = torch.arange(0)
    with ExitStack() as stack:
        for number, module in enumerate(modules):
            new = visitors.get(number, nobody)
            origins = torch.cat([torch.arange(rows), new])
            hook = _input_hook(new, origins, rows, None, leaving.get(number - 1))
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


@contextmanager
def needed_from(module: nn.Module, first: int, tokens: int) -> Iterator[None]:
    """Let a module that works token by token skip those before `first` of `tokens`; it gives zero there.

    For the last layer's MLP, of which no one reads what it makes of tokens that predict nothing.
    """

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        by_row = inputs[0].view(-1, tokens, inputs[0].shape[-1])[:, first:].contiguous()
        return (by_row if inputs[0].dim() == by_row.dim() else by_row.flatten(0, 1), *inputs[1:])

    def padded(hidden: Tensor) -> Tensor:
        return functional.pad(hidden, (0, 0, first, 0))

    with ExitStack() as stack:
        if first > 0:
            stack.callback(module.register_forward_pre_hook(hook).remove)
            stack.callback(module.register_forward_hook(_output_hook(padded, tokens - first)).remove)
        yield


def _output_hook(edit: Edit, tokens: int) -> Callable[[nn.Module, Any, Any], Any]:
    def changed(hidden: Tensor) -> Tensor:
        if hidden.dim() == 2 and len(hidden) % tokens == 0:
            return edit(hidden.view(-1, tokens, hidden.shape[-1])).flatten(0, 1)
        if hidden.dim() != 3 or hidden.shape[1] != tokens:
            found = tuple(hidden.shape)
            raise InputError(f"tracing: a part's output is of shape {found}, not (rows, {tokens}, width)")
        return edit(hidden)

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

    return hook


def _input_hook(
    new: Tensor, origins: Tensor, rows: int, entering: Edit | None, leaving: list[Tensor] | None = None
) -> Callable[[nn.Module, Any, dict[str, Any]], Any]:
    """To the hidden states join `new`; all else that has `rows` rows is laid out anew: `origins` are among those.

    With `leaving`, hidden states beyond the first `rows` rows go there before.
    """

    def hook(_module: nn.Module, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        hidden = inputs[0] if inputs else settings["hidden_states"]

        def longer(tensor: Tensor) -> Tensor:
            if tensor is hidden:
                if leaving is not None:
                    leaving.append(tensor[rows:])
                    tensor = tensor[:rows]
                joined = torch.cat([tensor, tensor[new.to(tensor.device)]]) if len(new) else tensor
                return entering(joined) if entering else joined
            # A mask or rotary table that is the same for all rows has a first axis of 1 and is broadcast.
            by_row = tensor.dim() >= 3 and tensor.shape[0] == rows > 1
            return tensor[origins.to(tensor.device)] if by_row else tensor

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
