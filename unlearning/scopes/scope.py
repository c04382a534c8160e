"""Scopes: which parameters may move. Everything else is frozen.

This file holds what a scope is, and what several scopes use.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy


class Scope(Protocol):
    """Which parameters of a model may move."""

    def require_fits(self, model: PreTrainedModel) -> None:
        """Raise InputError where the scope names a layer or a module that the model lacks; the model is not changed."""

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:
        """Freeze all parameters but the scope's, and return the model, which has a wrapper where it got adapters.

        `traced_layers` are those that causal mediation analysis chose; None where no tracing was asked for.
        """


def trainable_names(model: nn.Module) -> list[str]:
    """Return the names of the parameters that may move."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def parameters_of_parts(
    model: PreTrainedModel, chosen: Sequence[int], modules: Sequence[ModuleKind]
) -> list[nn.Parameter]:
    """Return the parameters of these modules of the chosen layers.

    Raises InputError where a layer does not exist or has no such module, and where a module belongs to a layer that was
    not chosen too (Zamba2 runs one transformer block in several layers).
    """
    layers = anatomy.layers(model)
    if chosen and max(chosen) >= len(layers):
        raise InputError(f"scope: layer {max(chosen)} was asked for, this model's layers are 0 to {len(layers) - 1}")
    parts = [anatomy.part_parameters(layers[index], kind) for index in chosen for kind in modules]
    found = [parameter for part in parts for parameter in part]
    _refuse_shared(layers, chosen, found)
    return found


def _refuse_shared(layers: Sequence[nn.Module], chosen: Sequence[int], named: Sequence[nn.Parameter]) -> None:
    """Raise InputError where one of the named parameters is part of a layer that was not chosen."""
    own = {id(parameter) for parameter in named}
    for other in range(len(layers)):
        if other not in chosen and any(id(parameter) in own for parameter in layers[other].parameters()):
            raise InputError(
                f"scope: layer {other} shares weights with the chosen layers; choose it too, or none of them"
            )


def require_trainable(model: nn.Module) -> nn.Module:
    """Return the model. Raises InputError where no parameter may move."""
    if not trainable_names(model):
        raise InputError("scope: no parameter is left to train; choose layers, modules, embeddings or head")
    return model
