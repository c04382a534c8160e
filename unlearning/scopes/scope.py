"""What all scopes have in common: a scope says which parameters may move, and freezes everything else."""

from collections.abc import Sequence
from typing import Protocol

from torch import nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy


class Scope(Protocol):
    """What all scopes have in common."""

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:
        """Freeze all parameters but the scope's; returns the model, wrapped where adapters were attached.

        `traced_layers` is what causal mediation analysis chose, None where no tracing was asked for.
        """


def trainable_names(model: nn.Module) -> list[str]:
    """Names of the parameters that may move."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def parameters_of_parts(
    model: PreTrainedModel, chosen: Sequence[int], modules: Sequence[ModuleKind]
) -> list[nn.Parameter]:
    layers = anatomy.layers(model)
    if chosen and max(chosen) >= len(layers):
        raise InputError(f"scope: layer {max(chosen)} was asked for, this model's layers are 0 to {len(layers) - 1}")
    parts = [anatomy.part_parameters(layers[index], kind) for index in chosen for kind in modules]
    return [parameter for part in parts for parameter in part]


def require_trainable(model: nn.Module) -> nn.Module:
    if not trainable_names(model):
        raise InputError("scope: no parameter is left to train; choose layers, modules, embeddings or head")
    return model
