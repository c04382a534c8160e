"""How many weights a model has and a run trains, counted without the weights themselves."""

from dataclasses import dataclass

from torch import nn

from unlearning.models import anatomy
from unlearning.training.row_model import first_trained_layer, plain_model


@dataclass(frozen=True)
class Counts:
    """Numbers of weights of one model under one scope."""

    total: int
    """All weights, adapters included."""
    trained: int
    adapters: int
    """Weights of adapters alone."""
    adapted_width: int
    """Numbers at one token in the outputs of all modules that have an adapter."""
    in_layers: int
    """Weights of all layers, that is of all but embeddings, final norm and head; without adapters."""
    layer: int
    """Weights of the largest layer."""
    moving_in_layers: int
    """Weights of the layers from the first trained one on, through which the backward pass goes."""
    trained_in_layers: int
    depth: int
    moving: int
    """Number of layers from the first trained one to the last."""
    width: int
    """Numbers in a hidden state."""
    heads_width: int
    """Numbers in the queries of one layer at one token."""
    key_value_width: int
    """Numbers in the keys of one layer at one token; as many as in its values."""
    vocabulary: int
    head_trained: bool


def counts_of(scoped: nn.Module) -> Counts:
    """Return the counts of a model to which a scope was applied; its weights need not be there."""
    model = plain_model(scoped)
    layers = anatomy.layers(model)
    settings = model.config.get_text_config()
    adapters = sum(weight.numel() for name, weight in scoped.named_parameters() if ".lora_" in name)
    sizes = [sum(w.numel() for name, w in layer.named_parameters() if ".lora_" not in name) for layer in layers]
    first, heads = first_trained_layer(model), settings.num_attention_heads
    head_width = getattr(settings, "head_dim", None) or settings.hidden_size // heads
    return Counts(
        total=sum(weight.numel() for weight in scoped.parameters()),
        trained=_trained(scoped),
        adapters=adapters,
        adapted_width=sum(len(weight) for name, weight in scoped.named_parameters() if ".lora_B." in name),
        in_layers=sum(sizes),
        layer=max(sizes),
        moving_in_layers=sum(sizes[first:]),
        trained_in_layers=sum(map(_trained, layers)),
        depth=len(layers),
        moving=len(layers) - first,
        width=settings.hidden_size,
        heads_width=heads * head_width,
        key_value_width=(getattr(settings, "num_key_value_heads", None) or heads) * head_width,
        vocabulary=model.get_output_embeddings().weight.shape[0],
        head_trained=any(weight.requires_grad for weight in model.get_output_embeddings().parameters()),
    )


def _trained(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
