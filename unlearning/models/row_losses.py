"""Cross-entropy of each packed row; logits are computed only where there is a label."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearning.data.packing import IGNORED, Packs


def row_losses(model: nn.Module, packs: Packs, rows: int) -> Tensor:
    """Return (rows,) each row's mean cross-entropy over its supervised tokens, in nats, at least float32."""
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
    """While open, give the output projection only the hidden states at `wanted`, (P, T) bool, as one row of N.

    This is a hook on the projection, so that the architecture's elementwise changes of the logits afterwards (scaling,
    soft-capping) stay.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    handle = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][wanted].unsqueeze(0),))
    try:
        yield
    finally:
        handle.remove()
