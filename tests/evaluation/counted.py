"""Counts the tokens that go through a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from unlearning.models import anatomy


@contextmanager
def tokens_through(model: PreTrainedModel) -> Iterator[list[int]]:
    """Yield the number of positions, padding included, of each pass through the layers so far."""
    seen: list[int] = []

    def note(_layer: nn.Module, inputs: tuple[Any, ...], words: dict[str, Any], _output: object) -> None:
        states = inputs[0] if inputs else words["hidden_states"]
        seen.append(states.shape[0] * states.shape[1])

    handle = anatomy.layers(model)[0].register_forward_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()
