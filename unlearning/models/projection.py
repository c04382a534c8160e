"""Turns hidden states into logits, by the model itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def project(model: PreTrainedModel, decoder: nn.Module, states: Tensor) -> Tensor:
    """Return logits (n, V), at least float32, of the decoder's hidden states (n, width).

    The model itself computes them, with all that its architecture does to logits (scaling, soft-capping): for this
    call its decoder is replaced by one that returns the states.
    """
    ids = torch.zeros((1, 1), dtype=torch.long, device=states.device)
    with _returning(decoder, states.unsqueeze(0)):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits[0]
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class DecoderOutput:
    """The output of a decoder, in place of its architecture's own class: hidden states and nothing else."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: int | slice) -> Any:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        """Return None for attentions, router logits and the like."""


@contextmanager
def _returning(decoder: Any, hidden: Tensor) -> Iterator[None]:
    """While open, let the decoder return these hidden states, whatever its input is."""
    own = vars(decoder).get("forward")  # set by libraries that spread a model over devices
    try:
        decoder.forward = lambda *_, **__: DecoderOutput(hidden)
        yield
    finally:
        del decoder.forward
        if own is not None:
            decoder.forward = own
