"""Windows, sites, restorations and the order of states, by hand."""

from dataclasses import replace

import pytest

from tests.mediation.builders import random_fact
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, TraceConfig, TracedTokens
from unlearning.mediation.states import (
    Restoration,
    Site,
    State,
    deciding_restoration,
    deciding_site,
    restorations_of,
    sites_of,
    states_of,
    window_of,
)

PROBE = random_fact("a", range(2, 5), 9, 12)
LAYER, MLP, ATTENTION = ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention
CONFIG = TraceConfig()
GRID = replace(CONFIG, tokens=TracedTokens.grid)
Sites = list[tuple[str, tuple[int, ...]]]
"""The group and the positions of each site."""
LAST_TOKENS: Sites = [("last_subject", (4,)), ("last", (8,))]


def sites(config: TraceConfig, subject: range = PROBE.subject, answer_start: int = 9) -> Sites:
    """Return the sites of a fact in a prompt of this many tokens."""
    found = sites_of(replace(PROBE, subject=subject, answer_start=answer_start), config)
    return [(site.group, site.positions) for site in found]


@pytest.mark.parametrize(
    ("layer", "width", "expected"),
    [
        (0, 1, [0]),
        (15, 1, [15]),
        (4, 2, [3, 4]),
        (0, 2, [0]),
        (4, 3, [3, 4, 5]),
        (0, 3, [0, 1]),
        (15, 3, [14, 15]),
        (8, 10, list(range(3, 13))),
        (0, 10, [0, 1, 2, 3, 4]),
        (15, 10, [10, 11, 12, 13, 14, 15]),
    ],
)
def test_windows_are_romes(layer: int, width: int, expected: list[int]) -> None:
    assert list(window_of(layer, width, 16)) == expected


def test_a_window_wider_than_the_model_is_all_of_it() -> None:
    assert [list(window_of(layer, 100, 3)) for layer in range(3)] == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (TracedTokens.subject, [("subject", (2, 3, 4))]),
        (TracedTokens.last_subject, LAST_TOKENS[:1]),
        (TracedTokens.last, LAST_TOKENS[1:]),
        (TracedTokens.two_rows, LAST_TOKENS),
    ],
)
@pytest.mark.parametrize("corruption", Corruption)
def test_sites(tokens: TracedTokens, expected: Sites, corruption: Corruption) -> None:
    assert sites(replace(CONFIG, tokens=tokens, corruption=corruption)) == expected


@pytest.mark.parametrize("corruption", [Corruption.noise, Corruption.replacement])
def test_a_grid_begins_at_the_subject(corruption: Corruption) -> None:
    groups = ["first_subject", "middle_subject", "last_subject", "first_after", "further", "further", "last"]
    found = sites(replace(GRID, corruption=corruption))
    assert found == [(group, (position,)) for group, position in zip(groups, range(2, 9), strict=True)]


def test_a_grid_against_a_base_model_begins_at_the_first_token() -> None:
    from_base = replace(GRID, corruption=Corruption.base_model)
    assert sites(from_base) == [("before", (0,)), ("before", (1,)), *sites(GRID)]


@pytest.mark.parametrize(
    ("subject", "answer_start", "expected"),
    [
        (range(3, 4), 5, ["last_subject", "last"]),
        (range(3, 5), 5, ["first_subject", "last_subject"]),
        (range(3, 4), 4, ["last_subject"]),
        (range(3, 5), 6, ["first_subject", "last_subject", "last"]),
        (range(3, 5), 7, ["first_subject", "last_subject", "first_after", "last"]),
    ],
)
def test_the_last_token_of_subject_or_prompt_is_always_called_so(
    subject: range, answer_start: int, expected: list[str]
) -> None:
    assert [group for group, _ in sites(GRID, subject, answer_start)] == expected


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["subject"], 0),
        (["weights"], 0),
        (["last"], 0),
        (["last_subject", "last"], 0),
        (["before", "first_subject", "last_subject", "first_after", "last"], 2),
    ],
)
def test_the_site_whose_effects_count(groups: list[str], expected: int) -> None:
    assert deciding_site(tuple(Site(group, (place,)) for place, group in enumerate(groups))) == expected


def test_restorations() -> None:
    assert restorations_of(replace(CONFIG, window=1)) == (Restoration(LAYER), Restoration(MLP), Restoration(ATTENTION))
    config = replace(CONFIG, window=3, kinds=[ATTENTION, LAYER, MLP, ATTENTION], severed=[ATTENTION, MLP, ATTENTION])
    assert restorations_of(config) == (
        Restoration(ATTENTION),
        Restoration(ATTENTION, 3),
        Restoration(LAYER),
        Restoration(MLP),
        Restoration(MLP, 3),
        Restoration(LAYER, severed=ATTENTION),
        Restoration(LAYER, severed=MLP),
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"select": MLP, "window": 3}, Restoration(MLP, 3)),
        ({"select": ATTENTION, "window": 1}, Restoration(ATTENTION)),
        ({"select": LAYER, "window": 3}, Restoration(LAYER)),
    ],
)
def test_the_restoration_that_decides_is_among_the_traced_ones(
    changes: dict[str, object], expected: Restoration
) -> None:
    config = replace(CONFIG, **changes)
    assert deciding_restoration(config) == expected
    assert expected in restorations_of(config)


@pytest.mark.parametrize(
    ("restoration", "label"),
    [
        (Restoration(MLP), "mlp"),
        (Restoration(ATTENTION, 10), "attention, window 10"),
        (Restoration(LAYER, severed=MLP), "layer, mlp severed"),
    ],
)
def test_labels(restoration: Restoration, label: str) -> None:
    assert restoration.label == label


def test_states_go_by_restoration_layer_and_site() -> None:
    pair = (Site("last_subject", (4,)), Site("last", (8,)))
    found = states_of(pair, (Restoration(LAYER), Restoration(MLP, 2)), 3)
    assert found == [
        *(State(Restoration(LAYER), layer, site, range(layer, layer + 1)) for layer in range(3) for site in pair),
        *(State(Restoration(MLP, 2), 0, site, range(1)) for site in pair),
        *(State(Restoration(MLP, 2), 1, site, range(2)) for site in pair),
        *(State(Restoration(MLP, 2), 2, site, range(1, 3)) for site in pair),
    ]
    assert len(set(found)) == len(found)
