"""Packs: rows laid end to end, so that there is next to no padding.

Positions restart at 0 with each row. Where Transformers is given neither an attention mask nor a cache, it makes a
block-diagonal mask of restarting positions, so that each row's logits are those of the row alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.data.encoding import EncodedRow

IGNORED = -100
"""The target of a position that carries no loss."""
ATTENTION_TOKENS = 1024
"""Width of a pack at which a small model's attention costs as much as the rest of its layer; larger for wide models."""
PACK_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
"""Numbers of packs that `lay_out` tries."""


@dataclass(frozen=True)
class Packs:
    """P packs of T positions; all tensors are int64 and (P, T)."""

    input_ids: Tensor
    position_ids: Tensor
    targets: Tensor
    """The token that follows in the same row, or `IGNORED`."""
    rows: Tensor
    """Index of the position's row among the packed rows; -1 for padding."""

    def to(self, device: torch.device) -> "Packs":
        """Return the same packs on another device."""
        return Packs(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.targets.to(device),
            self.rows.to(device),
        )


def first_fit(lengths: Sequence[int], pack_tokens: int) -> list[list[int]]:
    """Return the indices of rows, pack by pack: the longest rows come first, each into the first pack with room.

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
    """Return the layout that `first_fit` finds at the cheapest width up to `pack_tokens`.

    P packs of T positions cost P * T * (1 + T / ATTENTION_TOKENS). Narrow packs have cheap attention, wide packs may
    need less padding.
    """
    longest, total = max(lengths), sum(lengths)
    widest = max(pack_tokens, longest)
    widths = {widest, *(max(longest, -(-total // count)) for count in PACK_COUNTS)}
    # An even division leaves no room for rows that do not fit exactly.
    widths |= {width + width // 16 for width in widths}
    layouts = [first_fit(lengths, width) for width in sorted(widths) if width <= widest]
    return min(layouts, key=lambda layout: _cost(lengths, layout))


def whole_row_passes(units: Sequence[Sequence[int]], pass_tokens: int) -> list[list[int]]:
    """Return the indices of units, forward pass by forward pass, where each row has a pack of its own.

    A unit is given by the lengths of its rows, which stay together. A pass holds `pass_tokens` positions or fewer, with
    the padding to its longest row, or one unit. Units of similar length share a pass.
    """
    passes: list[list[int]] = []
    rows = longest = 0
    for index in sorted(range(len(units)), key=lambda unit: (-max(units[unit]), unit)):
        rows += len(units[index])
        if not passes or rows * longest > pass_tokens:
            passes.append([])
            rows, longest = len(units[index]), max(units[index])
        passes[-1].append(index)
    return passes


def _cost(lengths: Sequence[int], layout: Sequence[Sequence[int]]) -> float:
    width = max(sum(lengths[index] for index in pack) for pack in layout)
    return len(layout) * width * (1 + width / ATTENTION_TOKENS)


def build_packs(rows: Sequence[EncodedRow], layout: Sequence[Sequence[int]], pad: int) -> Packs:
    """Return the tensors of the packs that `layout` (from `first_fit`) names; `pad` fills what is left over.

    Padding restarts at position 0 too, so that no row sees it and it sees no row.
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
    """Return the number of tokens of the row that carry a loss."""
    return len(row.input_ids) - max(row.supervised_from, 1)
