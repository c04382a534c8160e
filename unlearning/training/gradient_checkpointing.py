"""Gradient checkpointing: activations are computed again in the backward pass instead of being kept."""

from torch import nn


def checkpoint_gradients(model: nn.Module) -> None:
    """Switch gradient checkpointing on.

    The inputs of the layers must then have a gradient: with frozen embeddings, the graph would end at the first layer.
    """
    assert isinstance(model, nn.Module)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    model.enable_input_require_grads()  # type: ignore[operator]
