"""How patches are put together into batches, so that few tokens are fed in vain and memory suffices."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from unlearning.mediation.patch_batch import Patch, PatchBatch

WASTE = 1.25
"""Facts share a batch while it has at most this many times the tokens that each fact would need on its own."""


def batches(
    patches: Sequence[Patch], lengths: Sequence[int], rows_per_fact: int, max_rows: int
) -> Iterator[PatchBatch]:
    """Yield batches that cover every patch, each of at most `max_rows` rows if a single patch fits.

    `lengths` are the facts' tokens. Patches of a fact that begin at the same position stay together, since they share
    the fact's unpatched rows. Facts share a batch while little is wasted (`WASTE`).
    """
    groups = [part for group in _groups(patches) for part in _split(group, max_rows - rows_per_fact)]
    groups.sort(key=lambda group: (group[0].first_position, lengths[group[0].fact], group[0].fact))
    pack: list[list[Patch]] = []
    for group in groups:
        if pack and not _fits([*pack, group], lengths, rows_per_fact, max_rows):
            yield _batch(pack, rows_per_fact)
            pack = []
        pack.append(group)
    if pack:
        yield _batch(pack, rows_per_fact)


def _groups(patches: Sequence[Patch]) -> list[list[Patch]]:
    """Return the patches grouped by fact and first position."""
    found: dict[tuple[int, int], list[Patch]] = defaultdict(list)
    for patch in patches:
        found[patch.fact, patch.first_position].append(patch)
    return list(found.values())


def _split(group: list[Patch], max_rows: int) -> list[list[Patch]]:
    """Return the group in parts of at most `max_rows` rows, but of one patch at least.

    Low and high layers come apart, since the rows of patches in neighbouring layers cost alike.
    """
    group = sorted(group, key=lambda patch: patch.state.patched_layers[0])
    size = max(1, max_rows // len(group[0].donors))
    return [group[first : first + size] for first in range(0, len(group), size)]


def _fits(pack: list[list[Patch]], lengths: Sequence[int], rows_per_fact: int, max_rows: int) -> bool:
    """Return whether the groups make a batch that is small enough and wastes little."""
    rows = [rows_per_fact + sum(len(patch.donors) for patch in group) for group in pack]
    starts, ends = [group[0].first_position for group in pack], [lengths[group[0].fact] for group in pack]
    own = sum(count * (end - start) for count, start, end in zip(rows, starts, ends, strict=True))
    return sum(rows) <= max_rows and sum(rows) * (max(ends) - min(starts)) <= WASTE * own


def _batch(pack: list[list[Patch]], rows_per_fact: int) -> PatchBatch:
    """Return the batch of all patches of the groups."""
    patches = tuple(patch for group in pack for patch in group)
    return PatchBatch(tuple(dict.fromkeys(patch.fact for patch in patches)), patches, rows_per_fact)
