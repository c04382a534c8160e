"""The edits that put a batch's patches into a running model (see `patch_batch` for the words)."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from unlearning.config.scope import ModuleKind
from unlearning.mediation.hooks import Edit
from unlearning.mediation.model_parts import PartKey
from unlearning.mediation.patch_batch import Cells, Patch, PatchBatch


def entering_edits(
    batch: PatchBatch, recorded: Mapping[PartKey, Tensor], first_outputs: Mapping[Patch, Tensor], first: int
) -> dict[int, Edit]:
    """Return, for `hooks.joining_rows`, the edits that put in what each patch's first layer returns.

    They act on the input of the next layer, before which the rows join. `first_outputs` are those outputs, (rows,
    positions, width), where an MLP or attention is patched; a patched layer's output is among the recorded ones.
    `first` is the first position fed.
    """
    cells: dict[int, list[Cells]] = defaultdict(list)
    values: dict[int, list[Tensor]] = defaultdict(list)
    for item in batch.patch_rows:
        if item.extends:
            continue
        found = item.donor_cells()
        cells[item.joins].append(found)
        values[item.joins].append(
            values_at(recorded[ModuleKind.layer, item.joins - 1], found)
            if item.patch.state.restoration.kind is ModuleKind.layer
            else first_outputs[item.patch].flatten(0, 1)
        )
    return {joins: put_values(np.concatenate(cells[joins]), torch.cat(values[joins]), first) for joins in cells}


def output_edits(batch: PatchBatch, recorded: Mapping[PartKey, Tensor], first: int, depth: int) -> dict[PartKey, Edit]:
    """Return, for `hooks.edited_outputs`, what each part does to its output beyond the patches' first layers.

    Where a part is patched it gives the recorded output. Where it is severed it gives the output of the unpatched row.
    """
    patched: dict[PartKey, list[Cells]] = defaultdict(list)
    severed: dict[PartKey, list[Cells]] = defaultdict(list)
    for item in batch.patch_rows:
        state = item.patch.state
        if state.restoration.kind is not ModuleKind.layer and not item.extends:
            for number in state.patched_layers[1:]:
                patched[state.restoration.kind, number].append(item.donor_cells())
        if state.restoration.severed is not None:
            for number in range(item.joins, depth):
                severed[state.restoration.severed, number].append(item.cells(item.unpatched))
    edits: dict[PartKey, Edit] = {}
    for key, found in patched.items():
        cells = np.concatenate(found)
        edits[key] = put_values(cells, values_at(recorded[key], cells), first)
    for key, found in severed.items():
        copy = _copy_rows(np.concatenate(found), first)
        edits[key] = _one_after_other(edits[key], copy) if key in edits else copy
    return edits


def put_values(cells: Cells, values: Tensor, first: int) -> Edit:
    """Return an edit that puts values (N, width) into the cells; `first` is the position of the first token fed."""
    rows, positions, _ = torch.from_numpy(cells).unbind(1)

    def edit(hidden: Tensor) -> Tensor:
        patched = hidden.clone()
        patched[rows.to(hidden.device), positions.to(hidden.device) - first] = values.to(hidden)
        return patched

    return edit


def values_at(recorded: Tensor, cells: Cells) -> Tensor:
    """Return the recorded outputs (rows, T, width) at the cells' positions, in the rows that give the values."""
    _, positions, givers = torch.from_numpy(cells).to(recorded.device).unbind(1)
    return recorded[givers, positions]


def _copy_rows(cells: Cells, first: int) -> Edit:
    """Return an edit that copies into each cell what another row of the same batch has at that position."""
    rows, positions, givers = torch.from_numpy(cells).unbind(1)

    def edit(hidden: Tensor) -> Tensor:
        at = positions.to(hidden.device) - first
        patched = hidden.clone()
        patched[rows.to(hidden.device), at] = hidden[givers.to(hidden.device), at]
        return patched

    return edit


def _one_after_other(put: Edit, copy: Edit) -> Edit:
    """Return an edit that does both; the two touch different rows."""
    return lambda hidden: copy(put(hidden))
