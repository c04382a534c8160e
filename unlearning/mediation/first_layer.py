"""The output of each patch's first patched layer, where that layer's MLP or attention is patched.

Within this layer only the patched positions change. So the layer's output is computed at these positions alone, in a
short forward pass that ends with the last patched token; everything else is as in the unpatched run.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unlearning.mediation.batch_edits import put_values, values_at
from unlearning.mediation.hooks import Edit, edited_outputs, rows_for_one_module
from unlearning.mediation.model_parts import PartKey
from unlearning.mediation.patch_batch import Patch, PatchBatch, PatchRows, RowNumbers
from unlearning.mediation.prefix import KeysValues, PrefixCache
from unlearning.mediation.runs import TracedRun
from unlearning.mediation.scoring import answer_states

NO_CELLS = (torch.arange(0), torch.arange(0), torch.arange(0))


def first_layer_outputs(
    batch: PatchBatch,
    receiver: TracedRun,
    prefix: Sequence[KeysValues],
    recorded: Mapping[PartKey, Tensor],
    first: int,
) -> dict[Patch, Tensor]:
    """Return the outputs (rows, patched positions, width) of each patch's first layer.

    `first` is the first position fed. Patches of a whole layer are not among them, since their outputs are recorded.
    """
    parts, by_part = receiver.parts, batch.by_first_part()
    if not by_part:
        return {}
    rows: dict[Patch, RowNumbers] = {}
    copied: dict[int, Tensor] = {}
    for number in range(parts.depth):
        own = [item for key, items in by_part.items() for item in items if key[1] == number]
        if own:
            copied[number] = torch.from_numpy(np.concatenate([item.unpatched for item in own]))
        rows |= _temporary_rows(own, batch.unpatched_rows)
    edits = {parts.inner[key]: _edit(items, rows, recorded[key], first) for key, items in by_part.items()}
    outputs: dict[int, list[Tensor]] = {number: [] for number in copied}
    everyone = torch.arange(batch.unpatched_rows)
    origins = [torch.cat([everyone, copied.get(number, everyone[:0])]) for number in range(parts.depth)]
    ids = receiver.tokens(batch.facts, first, batch.end)
    cache = PrefixCache(prefix, origins) if first else None
    with (
        rows_for_one_module([*parts.layers, parts.norm], copied, outputs, batch.unpatched_rows),
        edited_outputs(receiver.corruption(batch.facts, first) | edits, ids.shape[1]),
    ):
        answer_states(parts, ids, NO_CELLS, cache, first)
    by_layer = {number: hidden for number, (hidden,) in outputs.items()}
    return {
        item.patch: _patched_outputs(item, by_layer[key[1]], rows[item.patch] - batch.unpatched_rows, first)
        for key, items in by_part.items()
        for item in items
    }


def _edit(items: Sequence[PatchRows], rows: Mapping[Patch, RowNumbers], recorded: Tensor, first: int) -> Edit:
    """Return the edit that puts a part's recorded outputs into the temporary rows of its patches."""
    cells = np.concatenate([item.donor_cells() for item in items])
    temporary = np.concatenate([item.cells(rows[item.patch])[:, 2] for item in items])
    local = np.stack([temporary, cells[:, 1], cells[:, 2]], axis=1)
    return put_values(local, values_at(recorded, cells), first)


def _temporary_rows(items: Sequence[PatchRows], first: int) -> dict[Patch, RowNumbers]:
    """Return the rows of each patch while they pass through its first layer, behind the unpatched ones."""
    found = {}
    for item in items:
        found[item.patch] = np.arange(first, first + len(item.rows))
        first += len(item.rows)
    return found


def _patched_outputs(item: PatchRows, hidden: Tensor, rows: RowNumbers, first: int) -> Tensor:
    """Return the patch's rows and positions of a layer's outputs for the copied rows, (M, T, width)."""
    positions = item.patch.state.site.positions
    return hidden[int(rows[0]) : int(rows[-1]) + 1, positions[0] - first : positions[-1] - first + 1]
