"""The edits of a batch put the right values into the right cells."""

import numpy as np
import torch

from tests.mediation.patch_cases import LAYER, rows_of_patches
from unlearning.config.scope import ModuleKind
from unlearning.mediation.batch_edits import entering_edits, output_edits, put_values
from unlearning.mediation.patch_batch import Patch, PatchBatch
from unlearning.mediation.states import Restoration, Site, State, states_of


def test_put_values() -> None:
    given = torch.zeros(2, 3, 1)
    edit = put_values(np.array([[1, 6, 99], [0, 5, 98]]), torch.tensor([[7.0], [8.0]]), 4)
    assert edit(given).flatten().tolist() == [0, 8, 0, 0, 0, 7]
    assert given.eq(0).all()


def test_a_layers_output_enters_its_successor() -> None:
    """The output of the donor's row and position enters the patch's row; that of the last layer enters the norm."""
    recorded = {(ModuleKind.layer, number): torch.arange(12.0).view(2, 6, 1) + 100 * number for number in range(2)}
    site = Site("last_subject", (4,))
    patches = tuple(Patch(0, State(LAYER, number, site, range(number, number + 1)), (1,)) for number in range(2))
    edits = entering_edits(PatchBatch((0,), patches, 1), recorded, {}, 3)
    assert sorted(edits) == [1, 2]
    assert edits[1](torch.zeros(3, 3, 1)).flatten().tolist() == [0, 0, 0, 0, 10, 0, 0, 0, 0]
    assert edits[2](torch.zeros(3, 3, 1)).flatten().tolist() == [0, 0, 0, 0, 0, 0, 0, 110, 0]


def test_a_window_is_put_into_all_its_modules_but_the_first() -> None:
    """The first module is computed beforehand; a copied row has passed all of its modules already."""
    recorded = {(ModuleKind.mlp, number): torch.full((1, 6, 1), float(number)) for number in range(4)}
    site = Site("last_subject", (4,))
    restoration = Restoration(ModuleKind.mlp, 3)
    patches = tuple(Patch(0, state, (0,)) for state in states_of((site,), (restoration,), 4))
    batch = PatchBatch((0,), patches, 1)
    edits = output_edits(batch, recorded, 4, 4)
    found = rows_of_patches(batch)
    assert sorted(number for _, number in edits) == [1, 2, 3]
    wanted = {1: [1], 2: [1, 2], 3: [2, 3]}
    for number, layers in wanted.items():
        output = edits[ModuleKind.mlp, number](torch.full((5, 1, 1), -1.0)).flatten()
        put = [int(row) for row in (output == number).nonzero()]
        assert put == sorted(int(found[patches[layer]].rows[0]) for layer in layers)
    assert {key: [item.patch for item in items] for key, items in batch.by_first_part().items()} == {
        (ModuleKind.mlp, 0): [patches[1]],
        (ModuleKind.mlp, 1): [patches[2]],
        (ModuleKind.mlp, 2): [patches[3]],
    }


def test_severed_parts_keep_the_unpatched_rows_output() -> None:
    """This holds from the layer after the patched one to the last."""
    severed = Restoration(ModuleKind.layer, severed=ModuleKind.mlp)
    state = State(severed, 1, Site("last_subject", (4,)), range(1, 2))
    batch = PatchBatch((0, 1), (Patch(1, state, (0, 1)),), 2)
    edits = output_edits(batch, {}, 3, 4)
    assert sorted(edits) == [(ModuleKind.mlp, 2), (ModuleKind.mlp, 3)]
    hidden = torch.arange(12.0).view(6, 2, 1)
    found = edits[ModuleKind.mlp, 2](hidden)
    assert found[:, 0].equal(hidden[:, 0])
    assert found[:, 1].flatten().tolist() == [1, 3, 5, 7, 5, 7]


def test_one_part_may_be_patched_and_severed_in_different_rows() -> None:
    site = Site("last_subject", (4,))
    put = Patch(0, State(Restoration(ModuleKind.mlp, 2), 1, site, range(2)), (0,))
    pin = Patch(0, State(Restoration(ModuleKind.layer, severed=ModuleKind.mlp), 0, site, range(1)), (0,))
    batch = PatchBatch((0,), (put, pin), 1)
    edit = output_edits(batch, {(ModuleKind.mlp, 1): torch.full((1, 6, 1), 9.0)}, 4, 2)[ModuleKind.mlp, 1]
    rows = rows_of_patches(batch)
    found = edit(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)).flatten().tolist()
    assert found[0] == 1
    assert found[int(rows[put].rows[0])] == 9
    assert found[int(rows[pin].rows[0])] == 1
