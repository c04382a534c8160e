"""How many rows one forward pass may have."""

import torch
from transformers import PreTrainedModel

GIB = 2**30
CPU_GIB = 0.25
"""Small enough for a CPU's caches."""


def budget_gib(asked: float | None, device: torch.device) -> float:
    """Return the GiB for one forward pass: those asked for, or half of a GPU's free memory, or `CPU_GIB` on a CPU."""
    if asked is not None:
        return asked
    return torch.cuda.mem_get_info(device)[0] / GIB / 2 if device.type == "cuda" else CPU_GIB


def rows_within(gib: float, model: PreTrainedModel, tokens: int, prefix: int) -> int:
    """Return how many rows of `tokens` tokens after a cached prefix fit into this many GiB; at least one.

    What is counted for a row: hidden states in a layer (6 of the width, 3 of the MLP's), two matrices of attention
    scores, keys and values with their prefix (twice, for joining them makes a copy). Logits do not count, since only a
    few are made at a time.
    """
    settings = model.config.get_text_config()
    width, heads = settings.hidden_size, settings.num_attention_heads
    inner = getattr(settings, "intermediate_size", None) or 4 * width
    itemsize = model.dtype.itemsize
    layer = tokens * (6 * width + 3 * inner) * itemsize
    attention = 2 * heads * tokens * (prefix + tokens) * itemsize + 4 * (prefix + tokens) * width * itemsize
    return max(1, int(gib * GIB / (layer + attention)))
