"""Every patch once, in rows that fit; each row a copy of what it says."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.mediation.builders import random_probe
from unlearning.config import ModuleKind, TraceConfig, TracedTokens
from unlearning.mediation.batches import WASTE, Batch, Patch, Placed, batches, putting
from unlearning.mediation.hooks import grown
from unlearning.mediation.states import Restoration, Site, State, restorations_of, sites_of, states_of

PROBES = [
    random_probe("a", range(2, 5), 9, 12),
    random_probe("b", range(0, 2), 4, 5),
    random_probe("c", range(2, 3), 8, 30),
    random_probe("d", range(4, 6), 9, 13),
]
LENGTHS = [len(probe.input_ids) - 1 for probe in PROBES]
DEPTH = 4
CONFIG = TraceConfig(window=3, severed=[ModuleKind.mlp], tokens=TracedTokens.grid)
MLP, LAYER = Restoration(ModuleKind.mlp), Restoration(ModuleKind.layer)


def patches_of(config: TraceConfig, draws: int) -> list[Patch]:
    """All of the four facts; the donors' rows are told apart by fact and draw."""
    return [
        Patch(number, state, tuple(10 * number + draw for draw in range(draws)))
        for number, probe in enumerate(PROBES)
        for state in states_of(sites_of(probe, config), restorations_of(config), DEPTH)
    ]


def fed(batch: Batch) -> int:
    """Tokens that one pass is fed, the rows counted that join later."""
    return len(batch.origins()) * (max(LENGTHS[fact] for fact in batch.facts) - batch.first)


@pytest.mark.parametrize("max_rows", [1, 2, 3, 7, 20, 64, 10_000])
@pytest.mark.parametrize(("draws", "base_rows"), [(1, 1), (4, 4), (4, 1)])
@pytest.mark.parametrize("tokens", TracedTokens)
def test_every_patch_once_and_rows_within_the_budget(
    tokens: TracedTokens, draws: int, base_rows: int, max_rows: int
) -> None:
    patches = patches_of(replace(CONFIG, tokens=tokens), draws)
    made = list(batches(patches, LENGTHS, base_rows, max_rows))
    assert Counter(patch for batch in made for patch in batch.patches) == Counter(patches)
    for batch in made:
        rows = len(batch.facts) * base_rows + sum(len(patch.donors) for patch in batch.patches)
        assert len(batch.origins()) == rows
        assert rows <= max_rows or len(batch.patches) == 1
        assert batch.base_rows == base_rows
        assert set(batch.facts) == {patch.fact for patch in batch.patches}
        assert len(batch.facts) == len(set(batch.facts))


def test_a_large_budget_is_used() -> None:
    """One pass for facts that are fed alike."""
    patches = patches_of(replace(CONFIG, tokens=TracedTokens.subject), 2)
    assert len(list(batches([patch for patch in patches if patch.fact in (0, 3)], LENGTHS, 2, 10_000))) == 1
    (alone,) = batches([patch for patch in patches if patch.fact == 2], LENGTHS, 2, 10_000)
    assert alone.facts == (2,)


@pytest.mark.parametrize("max_rows", [100, 300, 10_000])
def test_facts_share_a_batch_while_little_is_wasted(max_rows: int) -> None:
    patches = patches_of(CONFIG, 2)
    shared = 0
    for batch in batches(patches, LENGTHS, 2, max_rows):
        own = 0
        for fact in batch.facts:
            for first in {patch.state.site.positions[0] for patch in batch.patches if patch.fact == fact}:
                mine = [p for p in batch.patches if p.fact == fact and p.state.site.positions[0] == first]
                own += (2 + sum(len(patch.donors) for patch in mine)) * (LENGTHS[fact] - first)
        assert fed(batch) <= WASTE * own
        shared += len(batch.facts) > 1
    assert shared


def test_waste_by_hand() -> None:
    """A row and a base row each, of 10 and 8 tokens: 40 instead of 36 fed are borne; of 10 and 5, 40 for 30 are not."""
    state = State(MLP, 0, Site("subject", (0,)), range(1))
    pair = [Patch(0, state, (0,)), Patch(1, state, (1,))]
    assert [batch.facts for batch in batches(pair, [10, 8], 1, 100)] == [(1, 0)]
    assert [batch.facts for batch in batches(pair, [10, 5], 1, 100)] == [(1,), (0,)]
    assert [batch.facts for batch in batches(pair, [10, 6], 1, 100)] == [(1, 0)]
    assert [batch.facts for batch in batches(pair, [10, 8], 1, 3)] == [(1,), (0,)]


def test_facts_that_begin_alike_meet() -> None:
    """Two short texts and two long ones are two batches, however they are given."""
    state = State(MLP, 0, Site("subject", (0,)), range(1))
    patches = [Patch(number, state, (number,)) for number in range(4)]
    assert [batch.facts for batch in batches(patches, [5, 20, 5, 20], 1, 100)] == [(0, 2), (1, 3)]


# ---------------------------------------------------------------- rows


def placed(batch: Batch) -> dict[Patch, Placed]:
    return {item.patch: item for item in batch.placed}


@pytest.mark.parametrize("max_rows", [9, 10_000])
@pytest.mark.parametrize(("draws", "base_rows"), [(1, 1), (3, 3), (3, 1)])
def test_rows_are_numbered_as_they_join(draws: int, base_rows: int, max_rows: int) -> None:
    """Each row's number, once `grown` has let it join, and the unpatched row that it stems from."""
    patches = patches_of(replace(CONFIG, window=10), draws)
    for batch in batches(patches, LENGTHS, base_rows, max_rows):
        modules = [torch.nn.Identity() for _ in range(DEPTH + 1)]
        # Every unpatched row holds its own number, so that a copy tells where it is from.
        hidden = torch.arange(batch.unpatched)[:, None, None]
        with grown(modules, batch.joining(), {}, batch.unpatched):
            for module in modules:
                hidden = module(hidden)
        origins = hidden.flatten()
        assert torch.equal(origins, batch.origins())
        found = placed(batch)
        assert set(found) == set(batch.patches)
        rows = np.concatenate([item.rows for item in batch.placed])
        assert rows.tolist() == list(range(batch.unpatched, len(origins)))
        for patch, item in found.items():
            first = batch.facts.index(patch.fact) * base_rows
            assert item.base.tolist() == [first + draw % base_rows for draw in range(draws)]
            assert origins[item.rows].tolist() == item.base.tolist()


def test_a_patch_joins_after_its_first_layer_or_after_its_last_as_a_copy_of_a_longer_one() -> None:
    """Windows of ten over four layers: 0-3, 0-3, 0-3, 0-3; of three: 0-1, 0-2, 1-3, 2-3."""
    site = (Site("subject", (2, 3)),)
    for width, expected in ((10, [(1, False)] * 4), (3, [(2, True), (1, False), (2, False), (3, False)])):
        states = states_of(site, (Restoration(ModuleKind.mlp, width),), DEPTH)
        patches = [Patch(0, state, (0, 1)) for state in states]
        (batch,) = batches(patches, [9], 2, 100)
        found = placed(batch)
        assert [(found[patch].joins, found[patch].forked) for patch in patches] == expected
        for patch in patches:
            parent = found[patches[1]].rows if found[patch].forked else np.arange(2)
            assert found[patch].sources.tolist() == parent.tolist()


def test_windows_at_the_lower_end_are_copies_of_the_longest() -> None:
    """Windows of ten over eight layers: 0-4, 0-5, 0-6 and 0-7 four times, of which the first 0-7 is the parent."""
    states = states_of((Site("subject", (2,)),), (Restoration(ModuleKind.mlp, 10), MLP), 8)
    assert [list(state.modules)[-1] for state in states[:8]] == [4, 5, 6, 7, 7, 7, 7, 7]
    assert [state.modules[0] for state in states[:8]] == [0, 0, 0, 0, 0, 0, 1, 2]
    patches = [Patch(0, state, (0,)) for state in states]
    (batch,) = batches(patches, [9], 1, 100)
    found = placed(batch)
    forks = [patch.state.layer for patch in patches if found[patch].forked]
    assert forks == [0, 1, 2]
    longest = found[patches[3]].rows
    assert [found[patches[layer]].joins for layer in forks] == [5, 6, 7]
    assert all(found[patches[layer]].sources.tolist() == longest.tolist() for layer in forks)
    # A single module is no beginning worth a copy: it joins where the longer one does.
    assert found[patches[8]].joins == 1
    assert not any(found[patch].forked for patch in patches[8:])


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
    batch = Batch(tuple(dict.fromkeys((0, other.fact))), (Patch(0, short, (0,)), other), 1)
    assert not any(item.forked for item in batch.placed)
    alike = Batch((0,), (Patch(0, short, (0,)), Patch(0, long, (0,))), 1)
    assert [item.forked for item in alike.placed] == [False, True]


def test_a_copy_whose_parent_is_in_another_batch_stands_alone() -> None:
    states = states_of((Site("subject", (2,)),), (Restoration(ModuleKind.mlp, 3),), DEPTH)
    patches = [Patch(0, state, (0, 1)) for state in states]
    for batch in batches(patches, [9], 2, 4):
        assert len(batch.patches) == 1
        assert not batch.placed[0].forked
        assert batch.placed[0].joins == batch.patches[0].state.modules[0] + 1


# ---------------------------------------------------------------- what is put where


def test_cells_are_rows_positions_and_origins() -> None:
    state = State(LAYER, 1, Site("subject", (4, 5)), range(1, 2))
    batch = Batch((7,), (Patch(7, state, (30, 31)),), 1)
    (item,) = batch.placed
    assert item.rows.tolist() == [1, 2]
    assert item.cells(np.array([30, 31])).tolist() == [[1, 4, 30], [1, 5, 30], [2, 4, 31], [2, 5, 31]]
    assert (batch.first, batch.end, batch.unpatched) == (4, 6, 1)


def test_putting() -> None:
    given = torch.zeros(2, 3, 1)
    edit = putting(np.array([[1, 6, 99], [0, 5, 98]]), torch.tensor([[7.0], [8.0]]), 4)
    assert edit(given).flatten().tolist() == [0, 8, 0, 0, 0, 7]
    assert given.eq(0).all()


def test_a_layers_output_enters_its_successor() -> None:
    """That of the donor's row and position, in the patch's row; the last layer's enters the norm."""
    recorded = {(ModuleKind.layer, number): torch.arange(12.0).view(2, 6, 1) + 100 * number for number in range(2)}
    site = Site("last_subject", (4,))
    patches = tuple(Patch(0, State(LAYER, number, site, range(number, number + 1)), (1,)) for number in range(2))
    edits = Batch((0,), patches, 1).entering(recorded, {}, 3)
    assert sorted(edits) == [1, 2]
    assert edits[1](torch.zeros(3, 3, 1)).flatten().tolist() == [0, 0, 0, 0, 10, 0, 0, 0, 0]
    assert edits[2](torch.zeros(3, 3, 1)).flatten().tolist() == [0, 0, 0, 0, 0, 0, 0, 110, 0]


def test_a_window_is_put_into_its_further_modules_alone() -> None:
    """The first one is worked out beforehand; a copy has had all of its modules."""
    recorded = {(ModuleKind.mlp, number): torch.full((1, 6, 1), float(number)) for number in range(4)}
    site = Site("last_subject", (4,))
    restoration = Restoration(ModuleKind.mlp, 3)
    patches = tuple(Patch(0, state, (0,)) for state in states_of((site,), (restoration,), 4))
    batch = Batch((0,), patches, 1)
    edits = batch.edits(recorded, 4, 4)
    found = placed(batch)
    assert sorted(number for _, number in edits) == [1, 2, 3]
    wanted = {1: [1], 2: [1, 2], 3: [2, 3]}
    for number, layers in wanted.items():
        output = edits[ModuleKind.mlp, number](torch.full((5, 1, 1), -1.0)).flatten()
        put = [int(row) for row in (output == number).nonzero()]
        assert put == sorted(int(found[patches[layer]].rows[0]) for layer in layers)
    assert {key: [item.patch for item in items] for key, items in batch.sprouting().items()} == {
        (ModuleKind.mlp, 0): [patches[1]],
        (ModuleKind.mlp, 1): [patches[2]],
        (ModuleKind.mlp, 2): [patches[3]],
    }


def test_severed_parts_keep_the_unpatched_rows_output() -> None:
    """From the layer after the patched one to the last."""
    severed = Restoration(ModuleKind.layer, severed=ModuleKind.mlp)
    state = State(severed, 1, Site("last_subject", (4,)), range(1, 2))
    batch = Batch((0, 1), (Patch(1, state, (0, 1)),), 2)
    edits = batch.edits({}, 3, 4)
    assert sorted(edits) == [(ModuleKind.mlp, 2), (ModuleKind.mlp, 3)]
    hidden = torch.arange(12.0).view(6, 2, 1)
    found = edits[ModuleKind.mlp, 2](hidden)
    assert found[:, 0].equal(hidden[:, 0])
    assert found[:, 1].flatten().tolist() == [1, 3, 5, 7, 5, 7]


def test_one_part_may_be_put_and_pinned_in_different_rows() -> None:
    site = Site("last_subject", (4,))
    put = Patch(0, State(Restoration(ModuleKind.mlp, 2), 1, site, range(2)), (0,))
    pin = Patch(0, State(Restoration(ModuleKind.layer, severed=ModuleKind.mlp), 0, site, range(1)), (0,))
    batch = Batch((0,), (put, pin), 1)
    edit = batch.edits({(ModuleKind.mlp, 1): torch.full((1, 6, 1), 9.0)}, 4, 2)[ModuleKind.mlp, 1]
    rows = placed(batch)
    found = edit(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)).flatten().tolist()
    assert found[0] == 1
    assert found[int(rows[put].rows[0])] == 9
    assert found[int(rows[pin].rows[0])] == 1
