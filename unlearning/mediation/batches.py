"""Many patches in one forward pass, each some rows that join where they begin to differ.

A batch begins with the unpatched rows of its facts, fed from the first patched position on: earlier tokens are the same
in every state, and so are their keys and values. A patch's rows join after its first layer, for within it only the
patched positions change (`runs.sprout` works them out); where its window is the beginning of a longer one's, they join
after its last layer, as copies of the longer one's rows.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unlearning.config import ModuleKind
from unlearning.mediation.hooks import Edit
from unlearning.mediation.open_model import PartKey
from unlearning.mediation.states import State

WASTE = 1.25
"""Facts share a batch while its tokens are at most this many times those that each would feed on its own."""
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Patch:
    """One state of one fact, in as many rows as there are corrupted runs."""

    fact: int
    state: State
    donors: tuple[int, ...]
    """Rows of the recorded outputs that are put in, one a row of the patch."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A patch with its rows in a batch."""

    patch: Patch
    joins: int
    """The layer before which its rows join, each a copy of one of `sources`."""
    rows: Indices
    sources: Indices
    base: Indices
    """The unpatched rows that they stem from."""
    forked: bool
    """Whether the sources are another patch's rows, already patched alike."""

    def cells(self, origins: Indices) -> Indices:
        """(N, 3): row, position, and the origin of that row."""
        positions = np.array(self.patch.state.site.positions)
        count = len(positions)
        return np.stack(
            [np.repeat(self.rows, count), np.tile(positions, len(self.rows)), np.repeat(origins, count)], axis=1
        )


@dataclass(frozen=True)
class Batch:
    """The patches of some facts."""

    facts: tuple[int, ...]
    patches: tuple[Patch, ...]
    base_rows: int
    """Unpatched rows a fact."""

    @property
    def first(self) -> int:
        """The first position that is patched."""
        return min(patch.state.site.positions[0] for patch in self.patches)

    @property
    def end(self) -> int:
        """One past the last position that is patched."""
        return max(patch.state.site.positions[-1] for patch in self.patches) + 1

    @property
    def unpatched(self) -> int:
        """How many rows the batch begins with."""
        return len(self.facts) * self.base_rows

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """The patches in the order in which their rows join."""
        parents = _parents(self.patches)
        joins = {patch: _joins(patch, parents.get(patch)) for patch in self.patches}
        found: dict[Patch, Placed] = {}
        first = self.unpatched
        for patch in sorted(self.patches, key=joins.__getitem__):
            rows = np.arange(first, first + len(patch.donors))
            base = self.facts.index(patch.fact) * self.base_rows + np.arange(len(rows)) % self.base_rows
            parent = parents.get(patch)
            sources = base if parent is None else found[parent].rows
            found[patch] = Placed(patch, joins[patch], rows, sources, base, parent is not None)
            first += len(rows)
        return tuple(found.values())

    def origins(self) -> Tensor:
        """(R,): for each row that the batch will ever have, the unpatched row that it stems from."""
        return torch.from_numpy(np.concatenate([np.arange(self.unpatched), *(item.base for item in self.placed)]))

    def joining(self) -> dict[int, Tensor]:
        """For `hooks.grown`: the rows that are copied before each layer."""
        found: dict[int, list[Indices]] = defaultdict(list)
        for item in self.placed:
            found[item.joins].append(item.sources)
        return {number: torch.from_numpy(np.concatenate(sources)) for number, sources in found.items()}

    def sprouting(self) -> dict[PartKey, tuple[Placed, ...]]:
        """Patches whose first layer must be worked out, by the part that is patched in it."""
        found: dict[PartKey, list[Placed]] = defaultdict(list)
        for item in self.placed:
            if item.patch.state.restoration.kind is not ModuleKind.layer and not item.forked:
                found[item.patch.state.restoration.kind, item.patch.state.modules[0]].append(item)
        return {key: tuple(items) for key, items in found.items()}

    def entering(
        self, recorded: Mapping[PartKey, Tensor], sprouts: Mapping[Patch, Tensor], first: int
    ) -> dict[int, Edit]:
        """For `hooks.grown`: what the first patched layer gave, put into its successor's input.

        `sprouts` are those outputs, (rows, positions, width); a layer's own output is among the recorded ones. `first`
        is the first position fed.
        """
        cells: dict[int, list[Indices]] = defaultdict(list)
        values: dict[int, list[Tensor]] = defaultdict(list)
        for item in self.placed:
            if item.forked:
                continue
            found = item.cells(np.array(item.patch.donors))
            cells[item.joins].append(found)
            values[item.joins].append(
                _taken(recorded[ModuleKind.layer, item.joins - 1], found)
                if item.patch.state.restoration.kind is ModuleKind.layer
                else sprouts[item.patch].flatten(0, 1)
            )
        return {joins: putting(np.concatenate(cells[joins]), torch.cat(values[joins]), first) for joins in cells}

    def edits(self, recorded: Mapping[PartKey, Tensor], first: int, depth: int) -> dict[PartKey, Edit]:
        """For `hooks.edited`: what each part does to its output where it is patched, or pinned to the unpatched one."""
        put: dict[PartKey, list[Indices]] = defaultdict(list)
        pinned: dict[PartKey, list[Indices]] = defaultdict(list)
        for item in self.placed:
            state = item.patch.state
            if state.restoration.kind is not ModuleKind.layer and not item.forked:
                found = item.cells(np.array(item.patch.donors))
                for number in state.modules[1:]:
                    put[state.restoration.kind, number].append(found)
            if state.restoration.severed is not None:
                found = item.cells(item.base)
                for number in range(item.joins, depth):
                    pinned[state.restoration.severed, number].append(found)
        edits: dict[PartKey, Edit] = {}
        for key, found_cells in put.items():
            together = np.concatenate(found_cells)
            edits[key] = putting(together, _taken(recorded[key], together), first)
        for key, found_cells in pinned.items():
            pin = _pinning(np.concatenate(found_cells), first)
            edits[key] = _both(edits[key], pin) if key in edits else pin
        return edits


def batches(patches: Sequence[Patch], lengths: Sequence[int], base_rows: int, max_rows: int) -> Iterator[Batch]:
    """Batches that cover every patch, of at most `max_rows` rows if one patch fits; `lengths` are the facts' tokens.

    Patches that begin at the same position of a fact stay together, for they share its unpatched rows; facts are put
    together while little is wasted (`WASTE`).
    """
    groups = [group for whole in _groups(patches) for group in _split(whole, max_rows - base_rows)]
    groups.sort(key=lambda group: (_offset(group[0]), lengths[group[0].fact], group[0].fact))
    pack: list[list[Patch]] = []
    for group in groups:
        if pack and not _fits([*pack, group], lengths, base_rows, max_rows):
            yield _batch(pack, base_rows)
            pack = []
        pack.append(group)
    if pack:
        yield _batch(pack, base_rows)


def putting(cells: Indices, values: Tensor, first: int) -> Edit:
    """Puts values (N, width) into cells (N, 3) of row and position; `first` is the position of the first token fed."""
    rows, positions, _ = torch.from_numpy(cells).unbind(1)

    def edit(hidden: Tensor) -> Tensor:
        patched = hidden.clone()
        patched[rows.to(hidden.device), positions.to(hidden.device) - first] = values.to(hidden)
        return patched

    return edit


def _pinning(cells: Indices, first: int) -> Edit:
    """Puts the output of another row of the same batch into cells (N, 3) of row, position and that row."""
    rows, positions, origins = torch.from_numpy(cells).unbind(1)

    def edit(hidden: Tensor) -> Tensor:
        at = positions.to(hidden.device) - first
        patched = hidden.clone()
        patched[rows.to(hidden.device), at] = hidden[origins.to(hidden.device), at]
        return patched

    return edit


def _both(put: Edit, pin: Edit) -> Edit:
    """One after the other; they touch different rows."""
    return lambda hidden: pin(put(hidden))


def _taken(recorded: Tensor, cells: Indices) -> Tensor:
    """(N, width): of recorded outputs (rows, T, width), those at the cells' origins and positions."""
    _, positions, origins = torch.from_numpy(cells).to(recorded.device).unbind(1)
    return recorded[origins, positions]


def _parents(patches: Sequence[Patch]) -> dict[Patch, Patch]:
    """For each patch whose window is the beginning of a longer one, beyond its first layer: the longest such patch."""
    alike: dict[tuple[object, ...], list[Patch]] = defaultdict(list)
    for patch in patches:
        state = patch.state
        alike[patch.fact, state.restoration, state.site, patch.donors, state.modules[0]].append(patch)
    found = {}
    for group in alike.values():
        longest = max(group, key=lambda patch: patch.state.modules[-1])
        for patch in group:
            if len(longest.state.modules) > len(patch.state.modules) > 1:
                found[patch] = longest
    return found


def _joins(patch: Patch, parent: Patch | None) -> int:
    modules = patch.state.modules
    return modules[0] + 1 if parent is None else modules[-1] + 1


def _groups(patches: Sequence[Patch]) -> list[list[Patch]]:
    """By fact and first position."""
    found: dict[tuple[int, int], list[Patch]] = defaultdict(list)
    for patch in patches:
        found[patch.fact, _offset(patch)].append(patch)
    return list(found.values())


def _split(group: list[Patch], max_rows: int) -> list[list[Patch]]:
    """Parts of at most so many rows, one patch at least; low and high layers apart, for their rows cost alike."""
    group = sorted(group, key=lambda patch: patch.state.modules[0])
    size = max(1, max_rows // len(group[0].donors))
    return [group[first : first + size] for first in range(0, len(group), size)]


def _fits(pack: list[list[Patch]], lengths: Sequence[int], base_rows: int, max_rows: int) -> bool:
    rows = [base_rows + sum(len(patch.donors) for patch in group) for group in pack]
    starts, ends = [_offset(group[0]) for group in pack], [lengths[group[0].fact] for group in pack]
    own = sum(count * (end - start) for count, start, end in zip(rows, starts, ends, strict=True))
    return sum(rows) <= max_rows and sum(rows) * (max(ends) - min(starts)) <= WASTE * own


def _batch(pack: list[list[Patch]], base_rows: int) -> Batch:
    patches = tuple(patch for group in pack for patch in group)
    return Batch(tuple(dict.fromkeys(patch.fact for patch in patches)), patches, base_rows)


def _offset(patch: Patch) -> int:
    return patch.state.site.positions[0]
