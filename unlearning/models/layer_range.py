"""A model that runs only some of its layers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.models import anatomy


class LayerRange:
    """Runs layers `first` to `last` of a model, both included, and skips the others.

    This is for objectives that use a layer's output, and for frozen first layers whose output has been computed before.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers = anatomy.layers(model)
        self._list = _holder(model, self.layers)
        self._values = self._returned_values()

    @contextmanager
    def running(self, first: int, last: int, layer_input: Tensor | None) -> Iterator[list[Tensor]]:
        """While open, let layers before `first` and after `last` return their input.

        `layer_input` (P, T, width) replaces the input of layer `first`, which must then be 1 or more; None changes
        nothing. The output of layer `last`, (P, T, width), is appended to the list.
        """
        found: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found.append(output[0] if isinstance(output, tuple) else output)

        with ExitStack() as stack:
            stack.callback(self.layers[last].register_forward_hook(keep).remove)
            for number in (*range(first), *range(last + 1, len(self.layers))):
                stack.callback(self._list.__setitem__, number, self.layers[number])
                given = layer_input if number == first - 1 else None
                self._list[number] = _PassThrough(self.layers[number], self._values, given)
            yield found

    def _returned_values(self) -> int | None:
        """Return how many values a layer returns in a tuple, by running one token; None without a tuple."""
        seen: list[int | None] = []

        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen.append(len(output) if isinstance(output, tuple) else None)

        handle = self.layers[0].register_forward_hook(look)
        ids = torch.zeros((1, 1), dtype=torch.long, device=self.model.device)
        training = self.model.training
        try:
            self.model.eval()  # dropout would draw random numbers
            with torch.no_grad():
                self.model(input_ids=ids, use_cache=False)
        finally:
            handle.remove()
            self.model.train(training)
        return seen[0]


class _PassThrough(nn.Module):
    """Takes a layer's place: returns its input, or `layer_input` where that is given, and None for further values.

    All other attributes, such as the kind of attention, are the layer's.
    """

    def __init__(self, layer: nn.Module, values: int | None, layer_input: Tensor | None) -> None:
        super().__init__()
        self._entering = layer_input
        # The layer must not become a child module: its parameters would have other names for the moment.
        object.__setattr__(self, "_layer", layer)
        self._values = values

    def __getattr__(self, name: str) -> Any:
        """Return the layer's own attribute."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_layer"), name)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        """Return the hidden states as they came, or `layer_input`."""
        given = hidden_states if self._entering is None else self._entering
        return given if self._values is None else (given, *[None] * (self._values - 1))


def _holder(model: PreTrainedModel, layers: list[nn.Module]) -> nn.ModuleList:
    return next(
        child
        for child in anatomy.decoder(model).children()
        if isinstance(child, nn.ModuleList) and len(child) == len(layers) and child[0] is layers[0]
    )
