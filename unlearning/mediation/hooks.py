"""Context managers that change what a running model computes, by hooks that are always removed again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearning.errors import InputError

Edit = Callable[[Tensor], Tensor]
"""A function from hidden states (rows, T, width) to those that take their place. It must not change its argument."""


@contextmanager
def edited_outputs(edits: Mapping[nn.Module, Edit], tokens: int) -> Iterator[None]:
    """Pass each module's output through its edit.

    Where a module returns a tuple (attention with its weights), the edit sees the first entry and the others stay.
    Where a module returns rows of `tokens` tokens one after another, (rows * T, width), the edit sees
    (rows, T, width).
    """
    with ExitStack() as stack:
        for module, edit in edits.items():
            stack.callback(module.register_forward_hook(_output_hook(edit, tokens)).remove)
        yield


@contextmanager
def joining_rows(
    modules: Sequence[nn.Module], joining: Mapping[int, Tensor], entering: Mapping[int, Edit], rows: int
) -> Iterator[None]:
    """Let rows join the batch of `rows` rows between the modules, each a copy of a row that is there.

    `joining[l]` (M,) are the rows that are copied before module l; the copies are put at the end. `entering[l]` then
    edits the input of module l. This saves time: a state that differs from another one from layer l on needs no
    computation below l. Whatever else a module is given row by row, such as an attention mask, is copied in the same
    way.
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
def rows_for_one_module(
    modules: Sequence[nn.Module], copied: Mapping[int, Tensor], outputs: Mapping[int, list[Tensor]], rows: int
) -> Iterator[None]:
    """Let copies of some of the `rows` rows pass through a single module each.

    `copied[l]` (M,) are the rows that are copied before module l. What module l returns for the copies, (M, T, width),
    is appended to `outputs[l]`, and the batch then goes on without them. The last module gets no copies.
    """
    nothing = torch.arange(0)
    with ExitStack() as stack:
        for number, module in enumerate(modules):
            new = copied.get(number, nothing)
            origins = torch.cat([torch.arange(rows), new])
            hook = _input_hook(new, origins, rows, None, outputs.get(number - 1))
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


@contextmanager
def skipped_before(module: nn.Module | None, first: int, tokens: int) -> Iterator[None]:
    """Let a module that works token by token skip those before `first` of `tokens` tokens; its output is zero there.

    None: there is no such module, and nothing is skipped.

    This is meant for the MLP of the last layer: nothing reads its outputs at tokens that predict no part of an answer.
    """

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        by_row = inputs[0].view(-1, tokens, inputs[0].shape[-1])[:, first:].contiguous()
        return (by_row if inputs[0].dim() == by_row.dim() else by_row.flatten(0, 1), *inputs[1:])

    def padded(hidden: Tensor) -> Tensor:
        return functional.pad(hidden, (0, 0, first, 0))

    with ExitStack() as stack:
        if first > 0 and module is not None:
            stack.callback(module.register_forward_pre_hook(hook).remove)
            stack.callback(module.register_forward_hook(_output_hook(padded, tokens - first)).remove)
        yield


def _output_hook(edit: Edit, tokens: int) -> Callable[[nn.Module, Any, Any], Any]:
    """Return a forward hook that applies the edit to the hidden states in a module's output."""

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
    """Return a pre-hook that appends copies of the rows `new` to the hidden states, and then applies `entering`.

    Every other input of `rows` rows is extended too: its rows become those that `origins` names. With `leaving`, the
    hidden states beyond the first `rows` rows are first taken off and appended to that list.
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
    """Return the value with every tensor in it changed, also those in tuples and dictionaries."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is tuple:
        return tuple(_mapped(item, change) for item in value)
    if type(value) is dict:
        return {key: _mapped(item, change) for key, item in value.items()}
    return value
