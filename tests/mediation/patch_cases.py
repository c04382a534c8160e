"""Facts and their patches, which the tests of batches share."""

from tests.mediation.builders import random_fact
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import TraceConfig, TracedTokens
from unlearning.mediation.patch_batch import Patch, PatchBatch, PatchRows
from unlearning.mediation.states import Restoration, restorations_of, sites_of, states_of

FACTS = [
    random_fact("a", range(2, 5), 9, 12),
    random_fact("b", range(0, 2), 4, 5),
    random_fact("c", range(2, 3), 8, 30),
    random_fact("d", range(4, 6), 9, 13),
]
LENGTHS = [len(fact.input_ids) - 1 for fact in FACTS]
DEPTH = 4
CONFIG = TraceConfig(window=3, severed=[ModuleKind.mlp], tokens=TracedTokens.grid)
MLP, LAYER = Restoration(ModuleKind.mlp), Restoration(ModuleKind.layer)


def patches_of(config: TraceConfig, draws: int) -> list[Patch]:
    """Return all patches of the four facts; the numbers of the donors' rows say which fact and draw they are."""
    return [
        Patch(number, state, tuple(10 * number + draw for draw in range(draws)))
        for number, fact in enumerate(FACTS)
        for state in states_of(sites_of(fact, config), restorations_of(config), DEPTH)
    ]


def rows_of_patches(batch: PatchBatch) -> dict[Patch, PatchRows]:
    """Return the rows of each patch of the batch."""
    return {item.patch: item for item in batch.patch_rows}
