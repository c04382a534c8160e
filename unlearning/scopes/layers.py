"""Scopes that name the weights that may move: all of them, or the modules of some layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.scopes.scope import parameters_of_parts, require_trainable


@dataclass(frozen=True)
class AllScope:
    """All parameters move."""

    def require_fits(self, model: PreTrainedModel) -> None:
        """Accept any model."""

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:  # noqa: ARG002
        """Return the model with nothing frozen."""
        scoped: nn.Module = model.requires_grad_(True)
        return scoped


@dataclass(frozen=True)
class LayersScope:
    """The named modules of the named layers move; the embeddings and the head move where they are asked for.

    With `complement`, what is named is frozen, and everything else moves.
    """

    layers: str
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])
    embeddings: bool = False
    head: bool = False
    complement: bool = False

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:  # noqa: ARG002
        """Freeze all but these modules. Raises InputError where a layer does not exist or nothing is left to train."""
        named = self._named(model)
        model.requires_grad_(self.complement)
        for parameter in named:
            parameter.requires_grad_(not self.complement)
        return require_trainable(model)

    def require_fits(self, model: PreTrainedModel) -> None:
        """Raise InputError where a layer or a module does not exist, or is tied to one that is not named."""
        self._named(model)

    def _named(self, model: PreTrainedModel) -> list[nn.Parameter]:
        """Return the parameters that the scope names. Raises InputError where something that it names is missing."""
        if _tied(model) and self.embeddings != self.head:
            raise InputError(
                f"scope.embeddings={self.embeddings}, scope.head={self.head}: "
                "this model ties them to one matrix, so both must be the same"
            )
        chosen = parse_layers(self.layers, len(anatomy.layers(model)))
        named = parameters_of_parts(model, chosen, self.modules)
        if self.embeddings:
            named += anatomy.embeddings(model).parameters()
        if self.head:
            named += [parameter for module in anatomy.head_modules(model) for parameter in module.parameters()]
        return named


def parse_layers(text: str, depth: int) -> list[int]:
    """Return layer numbers in ascending order, from "all", "3", "0-5", "0,2,4", "-8:" (the last eight), ":4" or "1:5".

    Slices are those of Python: layers beyond the model's depth are left out. Numbers and ranges must exist.
    Raises InputError for any other text, and for layers that a model of `depth` layers does not have.
    """
    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        try:
            chosen.update(_parse_part(part, depth))
        except ValueError:
            raise InputError(
                f"scope.layers={text}: {part!r} is not all, a number, a range like 0-5, or a slice like -8: or :4"
            ) from None
    outside = sorted(layer for layer in chosen if not 0 <= layer < depth)
    if outside or not chosen:
        raise InputError(f"scope.layers={text}: this model's layers are 0 to {depth - 1}")
    return sorted(chosen)


def _parse_part(part: str, depth: int) -> Sequence[int]:
    if part == "all":
        return range(depth)
    if ":" in part:
        start, stop = part.split(":")
        return range(depth)[int(start) if start else None : int(stop) if stop else None]
    if "-" in part:
        start, stop = part.split("-")
        return range(int(start), int(stop) + 1)
    return [int(part)]


def _tied(model: PreTrainedModel) -> bool:
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight
