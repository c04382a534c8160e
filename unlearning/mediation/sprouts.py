"""What the first patched layer makes of its patch.

Within the layer whose MLP or attention is patched, only the patched positions change: the layer's output there is
worked out in a pass over these positions alone, and the rest of it is the unpatched run's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unlearning.mediation.batches import Batch, Indices, Patch, Placed, putting
from unlearning.mediation.hooks import edited, visited
from unlearning.mediation.open_model import PartKey
from unlearning.mediation.prefix import KeysValues, PrefixCache
from unlearning.mediation.runs import Run
from unlearning.mediation.scoring import answer_states

NO_CELLS = (torch.arange(0), torch.arange(0), torch.arange(0))


def sprout(
    batch: Batch, receiver: Run, prefix: Sequence[KeysValues], recorded: Mapping[PartKey, Tensor], first: int
) -> dict[Patch, Tensor]:
    """Outputs (rows, patched positions, width) of each patch's first layer; `first` is the first position fed."""
    opened, parts = receiver.opened, batch.sprouting()
    if not parts:
        return {}
    rows: dict[Patch, Indices] = {}
    visitors: dict[int, Tensor] = {}
    edits = {}
    for number in range(len(opened.layers)):
        own = [(key, item) for key, items in parts.items() for item in items if key[1] == number]
        if own:
            visitors[number] = torch.from_numpy(np.concatenate([item.base for _, item in own]))
        rows |= _local_rows([item for _, item in own], batch.unpatched)
    for key, items in parts.items():
        cells = np.concatenate([item.cells(np.array(item.patch.donors)) for item in items])
        places = np.concatenate([item.cells(rows[item.patch])[:, 2] for item in items])
        _, positions, origins = torch.from_numpy(cells).to(recorded[key].device).unbind(1)
        local = np.stack([places, cells[:, 1], cells[:, 2]], axis=1)
        edits[opened.parts[key]] = putting(local, recorded[key][origins, positions], first)
    leaving: dict[int, list[Tensor]] = {number: [] for number in visitors}
    everyone = torch.arange(batch.unpatched)
    nobody = everyone[:0]
    origins_by_layer = [torch.cat([everyone, visitors.get(number, nobody)]) for number in range(len(opened.layers))]
    ids = receiver.feed(batch.facts, first, batch.end)
    cache = PrefixCache(prefix, origins_by_layer) if first else None
    with (
        visited([*opened.layers, opened.norm], visitors, leaving, batch.unpatched),
        edited(receiver.corruption(batch.facts, first) | edits, ids.shape[1]),
    ):
        answer_states(opened, ids, NO_CELLS, cache, first)
    outputs = {number: hidden for number, (hidden,) in leaving.items()}
    return {
        item.patch: _at(item, outputs[key[1]], rows[item.patch] - batch.unpatched, first)
        for key, items in parts.items()
        for item in items
    }


def _local_rows(items: Sequence[Placed], first: int) -> dict[Patch, Indices]:
    """The rows of each item while it visits its layer, after the unpatched ones."""
    found = {}
    for item in items:
        found[item.patch] = np.arange(first, first + len(item.rows))
        first += len(item.rows)
    return found


def _at(item: Placed, hidden: Tensor, rows: Indices, first: int) -> Tensor:
    positions = item.patch.state.site.positions
    return hidden[int(rows[0]) : int(rows[-1]) + 1, positions[0] - first : positions[-1] - first + 1]
