"""The width of packs is the one that costs least."""

import random

from unlearning.data.packing import first_fit, lay_out


def test_even_packs_by_hand() -> None:
    """Nine tokens make two packs of 5, ten positions that cost 10 (1 + 5 / 1024) = 10.05; one of 9 costs 9.08.

    With room for 8 at most, two packs it is: 5 and 3 + 1 rather than 5 + 3 and 1, which would be 16 positions.
    """
    assert lay_out([5, 3, 1], 16) == [[0, 1, 2]]
    assert lay_out([5, 3, 1], 8) == [[0], [1, 2]]


def test_wide_packs_must_leave_little_over() -> None:
    """Eight rows of 512 are as many positions at any width; the attention is cheapest in packs of one row each."""
    assert lay_out([512] * 8, 4096) == [[row] for row in range(8)]


def test_a_row_longer_than_a_pack_is_not_cut() -> None:
    """All packs are as wide as the long row; the other rows share what is left over."""
    assert lay_out([20, 12, 8], 8) == [[0], [1, 2]]


def test_every_row_once_and_no_pack_longer_than_asked_for() -> None:
    """The lengths are random, but like those of the official rows: many short ones, some of 200 tokens and more."""
    rng = random.Random(0)
    for _ in range(50):
        lengths = [rng.choice((rng.randint(10, 50), rng.randint(200, 335))) for _ in range(rng.randint(1, 20))]
        layout = lay_out(lengths, 512)
        assert sorted(row for pack in layout for row in pack) == list(range(len(lengths)))
        assert max(sum(lengths[row] for row in pack) for pack in layout) <= 512


def cost(lengths: list[int], layout: list[list[int]]) -> float:
    """Return the positions of the tensor times the cost of one, which grows with the width of a pack."""
    width = max(sum(lengths[row] for row in pack) for pack in layout)
    return len(layout) * width * (1 + width / 1024)


def test_never_dearer_than_first_fit() -> None:
    """The layout of `first_fit` is one of those that are tried."""
    rng = random.Random(1)
    for _ in range(50):
        lengths = [rng.randint(5, 120) for _ in range(rng.randint(1, 30))]
        assert cost(lengths, lay_out(lengths, 128)) <= cost(lengths, first_fit(lengths, 128))
