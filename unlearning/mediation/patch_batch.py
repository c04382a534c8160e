"""Many patches in one forward pass: which rows of the batch belong to which patch.

A patch is one state of one fact with the other run's outputs in its place, in as many rows as there are corrupted runs.
The run that is patched is the receiver, the run that gives the outputs is the donor. A cell is one token of one row of
the batch: (row, position).

A batch begins with the unpatched rows of its facts, fed from the first patched position on: earlier tokens are the same
in every state, and so are their keys and values. A patch does not change anything below its first layer, so its rows
join the batch only there, as copies:

- After the first patched layer. Within that layer only the patched positions change, and `first_layer` computes them
  beforehand.
- Where the patched layers are the beginning of a longer patch's: after the last of them, as copies of that patch's
  rows.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unlearning.config.scope import ModuleKind
from unlearning.mediation.model_parts import PartKey
from unlearning.mediation.states import State

Cells = NDArray[np.int64]
"""(N, 3): row, position, and the row that gives the value."""
RowNumbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Patch:
    """One state of one fact, in as many rows as there are corrupted runs."""

    fact: int
    state: State
    donors: tuple[int, ...]
    """For each row of the patch, the row of the recorded outputs that is put in."""

    @property
    def first_position(self) -> int:
        """The first token that is patched."""
        return self.state.site.positions[0]


@dataclass(frozen=True, slots=True)
class PatchRows:
    """A patch and its rows in the batch."""

    patch: Patch
    joins: int
    """The layer before which the rows join the batch."""
    rows: RowNumbers
    sources: RowNumbers
    """The rows that are copied when these join."""
    unpatched: RowNumbers
    """The unpatched rows of the same fact, one for each row."""
    extends: bool
    """Whether the sources are rows of a longer patch, in which the same layers are patched already."""

    def cells(self, givers: RowNumbers) -> Cells:
        """Return the patched cells, each with the row that gives its value: one giver for each row of the patch."""
        positions = np.array(self.patch.state.site.positions)
        count = len(positions)
        return np.stack(
            [np.repeat(self.rows, count), np.tile(positions, len(self.rows)), np.repeat(givers, count)], axis=1
        )

    def donor_cells(self) -> Cells:
        """Return the patched cells, each with its row of the recorded outputs."""
        return self.cells(np.array(self.patch.donors))


@dataclass(frozen=True)
class PatchBatch:
    """The patches of some facts that are computed in one forward pass."""

    facts: tuple[int, ...]
    patches: tuple[Patch, ...]
    rows_per_fact: int
    """Unpatched rows of each fact."""

    @property
    def first(self) -> int:
        """The first position that is patched."""
        return min(patch.first_position for patch in self.patches)

    @property
    def end(self) -> int:
        """One past the last position that is patched."""
        return max(patch.state.site.positions[-1] for patch in self.patches) + 1

    @property
    def unpatched_rows(self) -> int:
        """How many unpatched rows the batch begins with."""
        return len(self.facts) * self.rows_per_fact

    @cached_property
    def patch_rows(self) -> tuple[PatchRows, ...]:
        """The patches with their rows, in the order in which the rows join."""
        longer = _longer_patches(self.patches)
        joins = {patch: _joins(patch, longer.get(patch)) for patch in self.patches}
        found: dict[Patch, PatchRows] = {}
        first = self.unpatched_rows
        for patch in sorted(self.patches, key=joins.__getitem__):
            rows = np.arange(first, first + len(patch.donors))
            unpatched = self.facts.index(patch.fact) * self.rows_per_fact + np.arange(len(rows)) % self.rows_per_fact
            parent = longer.get(patch)
            sources = unpatched if parent is None else found[parent].rows
            found[patch] = PatchRows(patch, joins[patch], rows, sources, unpatched, parent is not None)
            first += len(rows)
        return tuple(found.values())

    def origins(self) -> Tensor:
        """Return, for each row that the batch will ever have (R,), the unpatched row of the same fact."""
        first = np.arange(self.unpatched_rows)
        return torch.from_numpy(np.concatenate([first, *(item.unpatched for item in self.patch_rows)]))

    def joining(self) -> dict[int, Tensor]:
        """Return the rows that are copied before each layer, for `hooks.joining_rows`."""
        found: dict[int, list[RowNumbers]] = defaultdict(list)
        for item in self.patch_rows:
            found[item.joins].append(item.sources)
        return {number: torch.from_numpy(np.concatenate(sources)) for number, sources in found.items()}

    def by_first_part(self) -> dict[PartKey, tuple[PatchRows, ...]]:
        """Return the patches whose first layer must be computed beforehand, by the part that is patched in it."""
        found: dict[PartKey, list[PatchRows]] = defaultdict(list)
        for item in self.patch_rows:
            state = item.patch.state
            if state.restoration.kind is not ModuleKind.layer and not item.extends:
                found[state.restoration.kind, state.patched_layers[0]].append(item)
        return {key: tuple(items) for key, items in found.items()}


def _longer_patches(patches: Sequence[Patch]) -> dict[Patch, Patch]:
    """Return the longest patch that begins with the same layers, two or more, for each patch that has such a one."""
    alike: dict[tuple[object, ...], list[Patch]] = defaultdict(list)
    for patch in patches:
        state = patch.state
        alike[patch.fact, state.restoration, state.site, patch.donors, state.patched_layers[0]].append(patch)
    found = {}
    for group in alike.values():
        longest = max(group, key=lambda patch: patch.state.patched_layers[-1])
        for patch in group:
            if len(longest.state.patched_layers) > len(patch.state.patched_layers) > 1:
                found[patch] = longest
    return found


def _joins(patch: Patch, longer: Patch | None) -> int:
    """Return the layer before which a patch's rows join: after its first layer, or after its last one."""
    layers = patch.state.patched_layers
    return layers[0] + 1 if longer is None else layers[-1] + 1
