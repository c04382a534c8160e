"""The hidden states of a text: the outputs of the layers at its last token."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.evaluation.likelihood import length_batches, right_padded
from unlearning.evaluation.model_state import evaluation_mode
from unlearning.models import anatomy

States = NDArray[np.float32]


def last_states(
    model: PreTrainedModel,
    sequences: Sequence[Sequence[int]],
    layers: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> States:
    """Return the output (N, layers, width) of each of the layers at the last token of each of N sequences.

    Sequences of similar length share a batch, padded on the right, where no token attends to the padding. After each
    batch `advance` is called with its size.
    """
    width: int = model.config.get_text_config().hidden_size
    states = np.empty((len(sequences), len(layers), width), dtype=np.float32)
    chosen = [anatomy.layers(model)[layer] for layer in layers]
    with evaluation_mode(model), caught_outputs(chosen) as outputs:
        for batch in length_batches([len(sequence) for sequence in sequences], batch_tokens):
            ids = right_padded([sequences[index] for index in batch], model.device)
            model(input_ids=ids, use_cache=False, logits_to_keep=1)
            last = torch.tensor([len(sequences[index]) - 1 for index in batch], device=model.device)
            row = torch.arange(len(batch), device=model.device)
            for place, output in enumerate(outputs):
                states[batch, place] = output[0][row, last].float().cpu().numpy()
            advance(len(batch))
    return states


@contextmanager
def caught_outputs(modules: Sequence[nn.Module]) -> Iterator[list[list[Tensor]]]:
    """Yield a list for each module, which holds the module's latest output as long as the context is open."""
    found: list[list[Tensor]] = [[] for _ in modules]

    def hook(kept: list[Tensor]) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kept[:] = [output[0] if isinstance(output, tuple) else output]

        return keep

    with ExitStack() as stack:
        for module, kept in zip(modules, found, strict=True):
            stack.callback(module.register_forward_hook(hook(kept)).remove)
        yield found
