"""A model with its parts at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy

PartKey = tuple[ModuleKind, int]
"""A kind of part and its layer."""


@dataclass(frozen=True)
class OpenModel:
    """What tracing reaches into."""

    model: PreTrainedModel
    decoder: nn.Module
    layers: list[nn.Module]
    embeddings: nn.Module
    norm: nn.Module
    """Called on what the last layer returns."""
    parts: dict[PartKey, nn.Module]
    """MLP and attention of every layer, whose output is the part's."""
    last_mlp: nn.Module
    """That of the last layer."""
    caches: bool
    """Whether keys and values of earlier tokens are all that later tokens read."""

    @property
    def device(self) -> torch.device:
        """Where tokens must be."""
        return next(self.embeddings.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings."""
        return next(self.embeddings.parameters()).dtype


def open_model(model: PreTrainedModel, kinds: tuple[ModuleKind, ...]) -> OpenModel:
    """Find the parts of these kinds. InputError where the architecture lacks one (see `anatomy`)."""
    layers = anatomy.layers(model)
    if not isinstance(model.get_output_embeddings(), nn.Module):
        raise InputError(f"model_type={model.config.model_type}: no output projection found")
    inner = [kind for kind in dict.fromkeys(kinds) if kind is not ModuleKind.layer]
    return OpenModel(
        model=model,
        decoder=anatomy.decoder(model),
        layers=layers,
        embeddings=anatomy.embeddings(model),
        norm=anatomy.final_norm(model),
        parts={(kind, index): anatomy.part(layer, kind) for kind in inner for index, layer in enumerate(layers)},
        last_mlp=anatomy.part(layers[-1], ModuleKind.mlp),
        caches=anatomy.caches_keys_and_values(model),
    )


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """No dropout and no gradients inside; afterwards the model's mode is what it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
