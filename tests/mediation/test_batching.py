"""Every patch is in one batch, and the batches respect the memory budget and waste little."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.mediation.patch_cases import CONFIG, LENGTHS, MLP, patches_of
from unlearning.config.trace import TracedTokens
from unlearning.mediation.batching import WASTE, batches
from unlearning.mediation.patch_batch import Patch, PatchBatch
from unlearning.mediation.states import Site, State


def fed(batch: PatchBatch) -> int:
    """Return the tokens of one pass, as if all rows were there from the beginning."""
    return len(batch.origins()) * (max(LENGTHS[fact] for fact in batch.facts) - batch.first)


@pytest.mark.parametrize("max_rows", [1, 2, 3, 7, 20, 64, 10_000])
@pytest.mark.parametrize(("draws", "rows_per_fact"), [(1, 1), (4, 4), (4, 1)])
@pytest.mark.parametrize("tokens", TracedTokens)
def test_every_patch_once_and_rows_within_the_budget(
    tokens: TracedTokens, draws: int, rows_per_fact: int, max_rows: int
) -> None:
    patches = patches_of(replace(CONFIG, tokens=tokens), draws)
    made = list(batches(patches, LENGTHS, rows_per_fact, max_rows))
    assert Counter(patch for batch in made for patch in batch.patches) == Counter(patches)
    for batch in made:
        rows = len(batch.facts) * rows_per_fact + sum(len(patch.donors) for patch in batch.patches)
        assert len(batch.origins()) == rows
        assert rows <= max_rows or len(batch.patches) == 1
        assert batch.rows_per_fact == rows_per_fact
        assert set(batch.facts) == {patch.fact for patch in batch.patches}
        assert len(batch.facts) == len(set(batch.facts))


def test_a_large_budget_is_used() -> None:
    """Facts of like length and position share one pass."""
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
    """Each fact has a patched and an unpatched row. With 10 and 8 tokens 40 are fed in place of 36: one batch.

    With 10 and 5 tokens it would be 40 in place of 30, so there are two batches.
    """
    state = State(MLP, 0, Site("subject", (0,)), range(1))
    pair = [Patch(0, state, (0,)), Patch(1, state, (1,))]
    assert [batch.facts for batch in batches(pair, [10, 8], 1, 100)] == [(1, 0)]
    assert [batch.facts for batch in batches(pair, [10, 5], 1, 100)] == [(1,), (0,)]
    assert [batch.facts for batch in batches(pair, [10, 6], 1, 100)] == [(1, 0)]
    assert [batch.facts for batch in batches(pair, [10, 8], 1, 3)] == [(1,), (0,)]


def test_facts_that_begin_alike_meet() -> None:
    """Two short texts and two long ones make two batches, whatever their order."""
    state = State(MLP, 0, Site("subject", (0,)), range(1))
    patches = [Patch(number, state, (number,)) for number in range(4)]
    assert [batch.facts for batch in batches(patches, [5, 20, 5, 20], 1, 100)] == [(0, 2), (1, 3)]
