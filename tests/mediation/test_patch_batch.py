"""The rows of a batch: when they join, and which rows they are copies of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.mediation.patch_cases import CONFIG, DEPTH, LAYER, LENGTHS, MLP, patches_of, rows_of_patches
from unlearning.config.scope import ModuleKind
from unlearning.mediation.batching import batches
from unlearning.mediation.hooks import joining_rows
from unlearning.mediation.patch_batch import Patch, PatchBatch
from unlearning.mediation.states import Restoration, Site, State, states_of


@pytest.mark.parametrize("max_rows", [9, 10_000])
@pytest.mark.parametrize(("draws", "rows_per_fact"), [(1, 1), (3, 3), (3, 1)])
def test_rows_are_numbered_as_they_join(draws: int, rows_per_fact: int, max_rows: int) -> None:
    """`joining_rows` gives each row the number that the batch expects, and copies it from the right unpatched row."""
    patches = patches_of(replace(CONFIG, window=10), draws)
    for batch in batches(patches, LENGTHS, rows_per_fact, max_rows):
        modules = [torch.nn.Identity() for _ in range(DEPTH + 1)]
        # Every unpatched row holds its own number, so that a copy shows which row it was copied from.
        hidden = torch.arange(batch.unpatched_rows)[:, None, None]
        with joining_rows(modules, batch.joining(), {}, batch.unpatched_rows):
            for module in modules:
                hidden = module(hidden)
        origins = hidden.flatten()
        assert torch.equal(origins, batch.origins())
        found = rows_of_patches(batch)
        assert set(found) == set(batch.patches)
        rows = np.concatenate([item.rows for item in batch.patch_rows])
        assert rows.tolist() == list(range(batch.unpatched_rows, len(origins)))
        for patch, item in found.items():
            first = batch.facts.index(patch.fact) * rows_per_fact
            assert item.unpatched.tolist() == [first + draw % rows_per_fact for draw in range(draws)]
            assert origins[item.rows].tolist() == item.unpatched.tolist()


def test_a_patch_joins_after_its_first_layer_or_after_its_last_as_a_copy_of_a_longer_one() -> None:
    """The windows of ten over four layers are 0-3 four times; those of three are 0-1, 0-2, 1-3 and 2-3."""
    site = (Site("subject", (2, 3)),)
    for width, expected in ((10, [(1, False)] * 4), (3, [(2, True), (1, False), (2, False), (3, False)])):
        states = states_of(site, (Restoration(ModuleKind.mlp, width),), DEPTH)
        patches = [Patch(0, state, (0, 1)) for state in states]
        (batch,) = batches(patches, [9], 2, 100)
        found = rows_of_patches(batch)
        assert [(found[patch].joins, found[patch].extends) for patch in patches] == expected
        for patch in patches:
            parent = found[patches[1]].rows if found[patch].extends else np.arange(2)
            assert found[patch].sources.tolist() == parent.tolist()


def test_windows_at_the_lower_end_are_copies_of_the_longest() -> None:
    """The first windows of ten over eight layers are 0-4, 0-5, 0-6 and 0-7; the first three copy rows of the fourth."""
    states = states_of((Site("subject", (2,)),), (Restoration(ModuleKind.mlp, 10), MLP), 8)
    assert [list(state.patched_layers)[-1] for state in states[:8]] == [4, 5, 6, 7, 7, 7, 7, 7]
    assert [state.patched_layers[0] for state in states[:8]] == [0, 0, 0, 0, 0, 0, 1, 2]
    patches = [Patch(0, state, (0,)) for state in states]
    (batch,) = batches(patches, [9], 1, 100)
    found = rows_of_patches(batch)
    copies = [patch.state.layer for patch in patches if found[patch].extends]
    assert copies == [0, 1, 2]
    longest = found[patches[3]].rows
    assert [found[patches[layer]].joins for layer in copies] == [5, 6, 7]
    assert all(found[patches[layer]].sources.tolist() == longest.tolist() for layer in copies)
    # A copy is of no use to a single module, which joins where the longer patch does.
    assert found[patches[8]].joins == 1
    assert not any(found[patch].extends for patch in patches[8:])


@pytest.mark.parametrize("change", ["site", "donors", "kind", "fact"])
def test_only_patches_that_are_alike_share_rows(change: str) -> None:
    site, kind = Site("subject", (2,)), ModuleKind.mlp
    short = State(Restoration(kind, 3), 0, site, range(2))
    long = State(Restoration(kind, 3), 1, site, range(3))
    other = {
        "site": Patch(0, replace(long, site=Site("last", (3,))), (0,)),
        "donors": Patch(0, long, (1,)),
        "kind": Patch(0, replace(long, restoration=Restoration(ModuleKind.attention, 3)), (0,)),
        "fact": Patch(1, long, (0,)),
    }[change]
    batch = PatchBatch(tuple(dict.fromkeys((0, other.fact))), (Patch(0, short, (0,)), other), 1)
    assert not any(item.extends for item in batch.patch_rows)
    alike = PatchBatch((0,), (Patch(0, short, (0,)), Patch(0, long, (0,))), 1)
    assert [item.extends for item in alike.patch_rows] == [False, True]


def test_a_copy_whose_parent_is_in_another_batch_stands_alone() -> None:
    states = states_of((Site("subject", (2,)),), (Restoration(ModuleKind.mlp, 3),), DEPTH)
    patches = [Patch(0, state, (0, 1)) for state in states]
    for batch in batches(patches, [9], 2, 4):
        assert len(batch.patches) == 1
        assert not batch.patch_rows[0].extends
        assert batch.patch_rows[0].joins == batch.patches[0].state.patched_layers[0] + 1


def test_cells_are_rows_positions_and_origins() -> None:
    state = State(LAYER, 1, Site("subject", (4, 5)), range(1, 2))
    batch = PatchBatch((7,), (Patch(7, state, (30, 31)),), 1)
    (item,) = batch.patch_rows
    assert item.rows.tolist() == [1, 2]
    assert item.cells(np.array([30, 31])).tolist() == [[1, 4, 30], [1, 5, 30], [2, 4, 31], [2, 5, 31]]
    assert (batch.first, batch.end, batch.unpatched_rows) == (4, 6, 1)
