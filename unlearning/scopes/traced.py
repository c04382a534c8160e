"""The scope of the layers that causal mediation analysis chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.models import anatomy
from unlearning.scopes.scope import parameters_of_parts, require_trainable


@dataclass(frozen=True)
class TracedScope:
    """The given modules of the layers that causal mediation analysis chose move; all else is frozen (SHA256)."""

    layers_file: str | None = None
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])

    def require_fits(self, model: PreTrainedModel) -> None:
        """Raise InputError where some layer lacks one of the modules, while a trace may still choose any layer."""
        if self.layers_file is None:
            parameters_of_parts(model, range(len(anatomy.layers(model))), self.modules)

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:
        """Freeze all but these modules. Raises ValueError without traced layers."""
        if traced_layers is None:
            raise ValueError("scope=traced needs the layers of a trace")
        named = parameters_of_parts(model, traced_layers, self.modules)
        model.requires_grad_(False)
        for parameter in named:
            parameter.requires_grad_(True)
        return require_trainable(model)
