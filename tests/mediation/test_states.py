"""Windows, sites and the order of states, by hand."""

import pytest

from tests.mediation.builders import random_probe
from unlearning.config import ModuleKind, TracedTokens
from unlearning.mediation.batches import batches
from unlearning.mediation.states import Site, sites_of, states_of, window_of

PROBE = random_probe("a", range(2, 5), 9, 12)


@pytest.mark.parametrize(
    ("block", "width", "expected"),
    [
        (0, 1, [0]),
        (15, 1, [15]),
        (4, 2, [3, 4]),
        (4, 3, [3, 4, 5]),
        (0, 3, [0, 1]),
        (15, 3, [14, 15]),
        (8, 10, list(range(3, 13))),
        (0, 10, [0, 1, 2, 3, 4]),
        (15, 10, [10, 11, 12, 13, 14, 15]),
    ],
)
def test_windows_are_romes(block: int, width: int, expected: list[int]) -> None:
    assert list(window_of(block, width, 16)) == expected


def test_sites() -> None:
    assert sites_of(PROBE, TracedTokens.subject) == (Site("subject", (2, 3, 4)),)
    assert sites_of(PROBE, TracedTokens.last_subject) == (Site("last_subject", (4,)),)
    groups = [
        "first_subject",
        "middle_subject",
        "last_subject",
        "first_after",
        "further",
        "further",
        "last",
    ]
    grid = sites_of(PROBE, TracedTokens.grid)
    assert [site.group for site in grid] == groups
    assert [site.positions for site in grid] == [(position,) for position in range(2, 9)]


def test_the_last_token_of_subject_or_prompt_is_always_called_so() -> None:
    one = sites_of(random_probe("b", range(3, 4), 5, 7), TracedTokens.grid)
    assert [site.group for site in one] == ["last_subject", "last"]
    at_the_end = sites_of(random_probe("c", range(3, 5), 5, 7), TracedTokens.grid)
    assert [site.group for site in at_the_end] == ["first_subject", "last_subject"]


@pytest.mark.parametrize("max_rows", [1, 2, 3, 7, 20, 512])
@pytest.mark.parametrize("draws", [1, 4])
def test_batches_cover_each_state_and_draw_once(draws: int, max_rows: int) -> None:
    kinds = (ModuleKind.block, ModuleKind.mlp)
    states = states_of(sites_of(PROBE, TracedTokens.grid), kinds, 3, 3)
    assert len(states) == 2 * 3 * 7
    seen = []
    for batch in batches(states, draws, max_rows):
        assert (1 + len(batch.states)) * len(batch.draws) <= max(2, max_rows)
        starts = [state.modules[0] for state in batch.states]
        assert starts == sorted(starts)
        seen += [(state, draw) for state in batch.states for draw in batch.draws]
    assert len(seen) == len(set(seen)) == len(states) * draws
