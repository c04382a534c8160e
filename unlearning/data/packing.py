"""Rows laid end to end in packs, so that hardly a token is padding.

Positions restart at 0 with each row. Transformers turns restarting positions into a block-diagonal mask where it is
given no attention mask and no cache, so that each row's logits are those of the row alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.data.encoding import EncodedRow

IGNORED = -100
"""Target of a position that carries no loss."""
ATTENTION_TOKENS = 1024
"""Width of a pack whose attention costs as much as all the rest of a layer, for small models; wider for wide ones."""
PACK_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
"""Numbers of packs that are tried."""


@dataclass(frozen=True)
class Packs:
    """P packs of T positions; all tensors int64 and (P, T)."""

    input_ids: Tensor
    position_ids: Tensor
    targets: Tensor
    """The token that follows in the same row, or IGNORED."""
    rows: Tensor
    """Index of the position's row among the rows packed; for padding, of no row (-1)."""

    def to(self, device: torch.device) -> "Packs":
        """The same packs on another device."""
        return Packs(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.targets.to(device),
            self.rows.to(device),
        )


def first_fit(lengths: Sequence[int], pack_tokens: int) -> list[list[int]]:
    """Indices of rows, pack by pack: longest rows first, each into the first pack with room.

    A row longer than `pack_tokens` gets a pack of its own.
    """
    packs: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        for pack, free in enumerate(room):
            if lengths[index] <= free:
                packs[pack].append(index)
                room[pack] -= lengths[index]
                break
        else:
            packs.append([index])
            room.append(pack_tokens - lengths[index])
    return packs


def lay_out(lengths: Sequence[int], pack_tokens: int) -> list[list[int]]:
    """`first_fit` into packs of that width, up to `pack_tokens`, at which P packs of T positions cost least.

    Narrow packs have cheap attention, wide ones may leave less over. The cost is P * T * (1 + T / ATTENTION_TOKENS).
    """
    longest, total = max(lengths), sum(lengths)
    widest = max(pack_tokens, longest)
    widths = {widest, *(max(longest, -(-total // count)) for count in PACK_COUNTS)}
    # An even division leaves no room for rows that do not fit exactly.
    widths |= {width + width // 16 for width in widths}
    layouts = [first_fit(lengths, width) for width in sorted(widths) if width <= widest]
    return min(layouts, key=lambda layout: _cost(lengths, layout))


def _cost(lengths: Sequence[int], layout: Sequence[Sequence[int]]) -> float:
    width = max(sum(lengths[index] for index in pack) for pack in layout)
    return len(layout) * width * (1 + width / ATTENTION_TOKENS)


def build_packs(rows: Sequence[EncodedRow], layout: Sequence[Sequence[int]], pad: int) -> Packs:
    """Tensors of the packs that `layout` (from `first_fit`) names; `pad` fills what is left over.

    Padding restarts at position 0 too, so that no row can see it and it sees no row.
    """
    width = max(sum(len(rows[index].input_ids) for index in pack) for pack in layout)
    shape = (len(layout), width)
    input_ids = torch.full(shape, pad)
    position_ids = torch.zeros(shape, dtype=torch.long)
    targets = torch.full(shape, IGNORED)
    owners = torch.full(shape, -1)
    for pack, members in enumerate(layout):
        start = 0
        for index in members:
            row = rows[index]
            ids = torch.tensor(row.input_ids)
            end = start + len(ids)
            input_ids[pack, start:end] = ids
            position_ids[pack, start:end] = torch.arange(len(ids))
            first = max(row.supervised_from, 1)
            targets[pack, start + first - 1 : end - 1] = ids[first:]
            owners[pack, start:end] = index
            start = end
        position_ids[pack, start:] = torch.arange(width - start)
    return Packs(input_ids, position_ids, targets, owners)


def supervised_tokens(row: EncodedRow) -> int:
    """Number of tokens of the row that carry a loss."""
    return len(row.input_ids) - max(row.supervised_from, 1)
