"""Packs lose no token, and rows in them share nothing."""

import random

from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import IGNORED, build_packs, first_fit, supervised_tokens


def test_first_fit_by_hand() -> None:
    """The longest rows come first, each into the first pack with room."""
    assert first_fit([3, 7, 2, 5], 8) == [[1], [3, 0], [2]]


def test_a_row_longer_than_a_pack_gets_its_own() -> None:
    """No row is cut."""
    assert first_fit([20, 3], 8) == [[0], [1]]


def test_every_row_is_in_exactly_one_pack_within_its_size() -> None:
    """The lengths are random."""
    rng = random.Random(0)
    lengths = [rng.randint(1, 64) for _ in range(200)]
    packs = first_fit(lengths, 64)
    assert sorted(row for pack in packs for row in pack) == list(range(200))
    assert all(sum(lengths[row] for row in pack) <= 64 for pack in packs)


def test_tensors_by_hand() -> None:
    """A target is the next token of the same row, and only where the row is supervised."""
    rows = [EncodedRow((5, 6, 7), 2), EncodedRow((8, 9), 1)]
    packs = build_packs(rows, [[0, 1]], pad=0)
    assert packs.input_ids.tolist() == [[5, 6, 7, 8, 9]]
    assert packs.position_ids.tolist() == [[0, 1, 2, 0, 1]]
    assert packs.targets.tolist() == [[IGNORED, 7, IGNORED, 9, IGNORED]]
    assert packs.rows.tolist() == [[0, 0, 0, 1, 1]]


def test_padding_belongs_to_no_row() -> None:
    """Positions start at 0 again in the padding of a pack."""
    rows = [EncodedRow((5, 6, 7, 8), 1), EncodedRow((9, 9), 1)]
    packs = build_packs(rows, [[0], [1]], pad=3)
    assert packs.input_ids[1].tolist() == [9, 9, 3, 3]
    assert packs.position_ids[1].tolist() == [0, 1, 0, 1]
    assert packs.rows[1].tolist() == [1, 1, -1, -1]


def test_supervised_tokens_counts_targets() -> None:
    """As many targets are set as the row has supervised tokens."""
    rng = random.Random(1)
    rows = [EncodedRow(tuple(range(n)), rng.randint(1, n - 1)) for n in range(2, 30)]
    packs = build_packs(rows, first_fit([len(row.input_ids) for row in rows], 40), pad=0)
    for index, row in enumerate(rows):
        assert int(((packs.rows == index) & (packs.targets != IGNORED)).sum()) == supervised_tokens(row)
