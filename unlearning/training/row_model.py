"""Runs packed rows through a model: hidden states at supervised tokens, and logits of these."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.data.packing import IGNORED, Packs
from unlearning.models import anatomy
from unlearning.models.capabilities import capabilities
from unlearning.models.layer_range import LayerRange
from unlearning.models.projection import DecoderOutput, project


def plain_model(model: nn.Module) -> PreTrainedModel:
    """Return the Transformers model without PEFT's wrapper; its adapters stay in place."""
    from peft import PeftModel

    found: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
    return found


def first_trained_layer(model: PreTrainedModel) -> int:
    """Return the first layer with a parameter that may move; 0 where embeddings, which come before, may move."""
    layers = anatomy.layers(model)
    moving = [any(weight.requires_grad for weight in layer.parameters()) for layer in layers]
    known = {id(weight) for layer in layers for weight in layer.parameters()}
    known |= {id(weight) for module in anatomy.head_modules(model) for weight in module.parameters()}
    # Tied embeddings are part of the head, but they also come before the layers.
    known -= {id(weight) for weight in anatomy.embeddings(model).parameters()}
    if any(weight.requires_grad and id(weight) not in known for weight in model.parameters()):
        return 0
    return moving.index(True) if True in moving else len(layers)


def head_is_frozen(model: PreTrainedModel, layer: int | None) -> bool:
    """Return whether nothing between the hidden states and the values is trained; `layer` is as in `RowModel`."""
    return layer is not None or not any(weight.requires_grad for weight in model.get_output_embeddings().parameters())


def outputs_width(model: PreTrainedModel, layer: int | None) -> int:
    """Return how many numbers the outputs at one token are: the vocabulary, or the width where a layer is used."""
    config = model.config.get_text_config()
    return int(config.vocab_size if layer is None else config.hidden_size)


@dataclass
class RowModel:
    """A model that runs packed rows, up to one layer or to the end."""

    model: PreTrainedModel
    layer: int | None
    """The layer whose output is used, which is the last one that is run; None: the decoder's output."""

    def __post_init__(self) -> None:
        self.decoder = anatomy.decoder(self.model)
        self.depth = len(anatomy.layers(self.model))
        self._range = LayerRange(self.model)
        self._packs = capabilities(self.model).packs

    @property
    def head_is_frozen(self) -> bool:
        """Whether nothing between the hidden states and the values is trained."""
        return head_is_frozen(self.model, self.layer)

    @property
    def vocabulary(self) -> int:
        """How many numbers the outputs at one token are; see `outputs_width`."""
        return outputs_width(self.model, self.layer)

    def states(self, packs: Packs, layer_input: Tensor | None, first: int) -> Tensor:
        """Return (N, width) hidden states at the packs' supervised tokens, in the order of their targets.

        With `layer_input` (P, T, width), the output of layer first - 1, the layers before `first` are skipped.
        """
        return self._run(packs, layer_input, first)[packs.targets != IGNORED]

    def after_layer(self, packs: Packs, layer: int) -> Tensor:
        """Return (P, T, width) the output of a layer; everything above it is skipped."""
        with self._range.running(0, layer, None) as found:
            self._forward(packs)
        return found[0]

    def outputs(self, states: Tensor) -> Tensor:
        """Return (n, V) logits of hidden states (n, width); the hidden states themselves where a layer is used."""
        if self.layer is not None:
            return states.to(torch.promote_types(states.dtype, torch.float32))
        return project(self.model, self.decoder, states)

    def _run(self, packs: Packs, layer_input: Tensor | None, first: int) -> Tensor:
        if layer_input is None:
            first = 0
        if self.layer is None and layer_input is None:
            return self._forward(packs)
        last = self.depth - 1 if self.layer is None else self.layer
        with self._range.running(first, last, layer_input) as found:
            given = self._forward(packs)
        return given if self.layer is None else found[0]

    def _forward(self, packs: Packs) -> Tensor:
        """Return (P, T, width) the decoder's output; the model projects none of it to logits."""
        found: list[Tensor] = []

        def kept(_module: nn.Module, _inputs: object, output: Tensor) -> DecoderOutput:
            found.append(output[0])
            return DecoderOutput(output[0][:1, :0])

        handle = self.decoder.register_forward_hook(kept)
        try:
            # Positions that restart say where rows begin. A row alone needs none, and some models take none.
            positions = {"position_ids": packs.position_ids} if self._packs else {}
            self.model(input_ids=packs.input_ids, use_cache=False, **positions)
        finally:
            handle.remove()
        return found[0]
