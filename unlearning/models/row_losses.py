"""Cross-entropy of each packed row, with the vocabulary projection only where there is a label."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearning.data.packing import IGNORED, Packs


def row_losses(model: nn.Module, packs: Packs, rows: int) -> Tensor:
    """Token-mean cross-entropy of each row over its supervised positions: (rows,) in nats, float32 or better."""
    wanted = packs.targets != IGNORED
    with _projected_only_at(model, wanted):
        output = model(input_ids=packs.input_ids, position_ids=packs.position_ids, use_cache=False)
    logits = output.logits[0]
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    token_nats = functional.cross_entropy(logits, packs.targets[wanted], reduction="none")
    owners = packs.rows[wanted]
    sums = token_nats.new_zeros(rows).index_add(0, owners, token_nats)
    counts = token_nats.new_zeros(rows).index_add(0, owners, torch.ones_like(token_nats))
    return sums / counts.clamp(min=1)


@contextmanager
def _projected_only_at(model: nn.Module, wanted: Tensor) -> Iterator[None]:
    """While open, the output projection sees only the hidden states at `wanted`, (P, T) bool, as one row of N.

    A hook on the projection rather than a call of the decoder keeps whatever the architecture does to its logits
    afterwards (scaling, soft-capping), which is elementwise.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    handle = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][wanted].unsqueeze(0),))
    try:
        yield
    finally:
        handle.remove()
