"""Packed rows through a model: hidden states at supervised positions, and values made of them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.data.packing import IGNORED, Packs
from unlearning.models import anatomy
from unlearning.models.layer_range import LayerRange
from unlearning.models.projection import Given, project


def plain_model(model: nn.Module) -> PreTrainedModel:
    """The Transformers model inside, its adapters (if there are any) in place."""
    from peft import PeftModel

    found: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
    return found


def first_trained_layer(model: PreTrainedModel) -> int:
    """The first layer with a parameter that moves; 0 where anything before the layers moves, such as embeddings."""
    layers = anatomy.layers(model)
    moving = [any(weight.requires_grad for weight in layer.parameters()) for layer in layers]
    known = {id(weight) for layer in layers for weight in layer.parameters()}
    known |= {id(weight) for module in anatomy.head_modules(model) for weight in module.parameters()}
    # Tied embeddings are the head too.
    known -= {id(weight) for weight in anatomy.embeddings(model).parameters()}
    if any(weight.requires_grad and id(weight) not in known for weight in model.parameters()):
        return 0
    return moving.index(True) if True in moving else len(layers)


@dataclass
class RowModel:
    """A model that says something about packed rows, up to one layer or to the end."""

    model: PreTrainedModel
    layer: int | None
    """The layer whose output is looked at, the last one that is run; None: the decoder's output."""

    def __post_init__(self) -> None:
        self.decoder = anatomy.decoder(self.model)
        self.depth = len(anatomy.layers(self.model))
        self._range = LayerRange(self.model)

    @property
    def head_is_frozen(self) -> bool:
        """Whether nothing between the states and the values is trained."""
        head = self.model.get_output_embeddings()
        return self.layer is not None or not any(weight.requires_grad for weight in head.parameters())

    @property
    def vocabulary(self) -> int:
        """Numbers that a position's values are made of."""
        config = self.model.config.get_text_config()
        return int(config.vocab_size if self.layer is None else config.hidden_size)

    def states(self, packs: Packs, entering: Tensor | None, first: int) -> Tensor:
        """(N, width) at the packs' supervised positions, in the order of their targets.

        With `entering` (P, T, width), the output of layer first - 1, layers before `first` are left out.
        """
        return self._run(packs, entering, first)[packs.targets != IGNORED]

    def after_layer(self, packs: Packs, layer: int) -> Tensor:
        """(P, T, width): what a layer gives, everything above it left out."""
        with self._range.running(0, layer, None) as found:
            self._forward(packs)
        return found[0]

    def outputs(self, states: Tensor) -> Tensor:
        """(n, V) logits of states (n, width); the states themselves where a layer is looked at."""
        if self.layer is not None:
            return states.to(torch.promote_types(states.dtype, torch.float32))
        return project(self.model, self.decoder, states)

    def _run(self, packs: Packs, entering: Tensor | None, first: int) -> Tensor:
        if entering is None:
            first = 0
        if self.layer is None and entering is None:
            return self._forward(packs)
        last = self.depth - 1 if self.layer is None else self.layer
        with self._range.running(first, last, entering) as found:
            given = self._forward(packs)
        return given if self.layer is None else found[0]

    def _forward(self, packs: Packs) -> Tensor:
        """(P, T, width) of the decoder; the model projects no position of it."""
        found: list[Tensor] = []

        def kept(_module: nn.Module, _inputs: object, output: Tensor) -> Given:
            found.append(output[0])
            return Given(output[0][:1, :0])

        handle = self.decoder.register_forward_hook(kept)
        try:
            self.model(input_ids=packs.input_ids, position_ids=packs.position_ids, use_cache=False)
        finally:
            handle.remove()
        return found[0]
