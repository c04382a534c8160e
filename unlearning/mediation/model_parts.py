"""The parts of a model that tracing reads and replaces: embeddings, layers, attention and MLP modules."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.models.capabilities import capabilities

PartKey = tuple[ModuleKind, int]
"""A kind of part, and the number of its layer."""


@dataclass(frozen=True)
class ModelParts:
    """A model and the modules in it that tracing hooks into."""

    model: PreTrainedModel
    decoder: nn.Module
    layers: list[nn.Module]
    embeddings: nn.Module
    norm: nn.Module
    """The final norm, which reads what the last layer returns."""
    inner: dict[PartKey, nn.Module]
    """The MLPs and attentions of all layers: the modules whose outputs are the parts' outputs."""
    last_mlp: nn.Module | None
    """The MLP of the last layer; None where it has none."""
    caches: bool
    """Whether a cache can be branched, so that prompts are run from the first patched token on; else they are run whole
    (`models.capabilities`)."""

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers)

    @property
    def device(self) -> torch.device:
        """The device of the embeddings, where tokens must be."""
        return next(self.embeddings.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the embeddings."""
        return next(self.embeddings.parameters()).dtype

    def module_of(self, kind: ModuleKind, layer: int) -> nn.Module:
        """Return the module whose output is that of the part of this kind in this layer."""
        return self.layers[layer] if kind is ModuleKind.layer else self.inner[kind, layer]


def find_parts(model: PreTrainedModel, kinds: tuple[ModuleKind, ...]) -> ModelParts:
    """Return the model's parts, MLPs and attentions only where they are among the kinds.

    Raises:
        InputError: the architecture lacks one of the parts (see `anatomy`).
    """
    layers = anatomy.layers(model)
    if not isinstance(model.get_output_embeddings(), nn.Module):
        raise InputError(f"model_type={model.config.model_type}: no output projection found")
    inner = [kind for kind in dict.fromkeys(kinds) if kind is not ModuleKind.layer]
    return ModelParts(
        model=model,
        decoder=anatomy.decoder(model),
        layers=layers,
        embeddings=anatomy.embeddings(model),
        norm=anatomy.final_norm(model),
        inner={(kind, index): anatomy.part(layer, kind) for kind in inner for index, layer in enumerate(layers)},
        last_mlp=_mlp(layers[-1]),
        caches=capabilities(model).branches,
    )


def _mlp(layer: nn.Module) -> nn.Module | None:
    try:
        return anatomy.part(layer, ModuleKind.mlp)
    except InputError:
        return None


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout and gradients off inside; the model's mode is restored afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
