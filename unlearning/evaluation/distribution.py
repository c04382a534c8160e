"""Several processes, each with the whole model on its device, share what is measured, item by item.

Every process ends with all scores, in the order in which one process alone would have them. Generations are the same to
the letter; losses are the same up to rounding, since other items share their batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric

from unlearning.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """What one process measures: every so many-th item, from the one of its rank on, so that like items are dealt out.

    With fewer items than processes some shares are empty.
    """

    rank: int = 0
    processes: int = 1

    def of(self, items: Sequence[Item]) -> list[Item]:
        """The process's own items, in their order."""
        return list(items[self.rank :: self.processes])


WHOLE = Share()


class ProcessGroup:
    """The processes that evaluate together; this one alone, unless a subclass knows of others."""

    def __init__(self, rank: int = 0, processes: int = 1) -> None:
        self.share = Share(rank, processes)

    @property
    def is_writer(self) -> bool:
        """Whether this process reads and writes files: the first one does."""
        return self.share.rank == 0

    def broadcast(self, value: Any) -> Any:
        """The first process's value."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Each process's value, by rank."""
        return [value]

    def collect_scores(self, measure: Callable[[Share], list[Any]], divided: bool) -> list[Any]:
        """All scores, in the order of the items.

        `measure` gives one score of each item of a share. Where the work cannot be divided, the first process does it.

        Raises InputError in all processes if it is raised in one, so that none waits for another for ever.
        """
        scores, complaint = [], None
        if divided or self.is_writer:
            try:
                scores = measure(self.share if divided else WHOLE)
            except InputError as error:
                complaint = str(error)
        found = self.gather((scores, complaint))
        complaints = [line for _, line in found if line is not None]
        if complaints:
            raise InputError(complaints[0])
        return merge_shares([own for own, _ in found]) if divided else list(found[0][0])


def merge_shares(shares: Sequence[Sequence[Any]]) -> list[Any]:
    """Items that were dealt out to the shares in turn, put together again."""
    items: list[Any] = [None] * sum(map(len, shares))
    for rank, own in enumerate(shares):
        items[rank :: len(shares)] = own
    return items


class FabricProcessGroup(ProcessGroup):
    """The processes of a Fabric that was launched."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__(fabric.global_rank, fabric.world_size)
        self.fabric = fabric
        self.device = fabric.device

    def broadcast(self, value: Any) -> Any:
        """The first process's value, sent to the others."""
        return self.fabric.broadcast(value)

    def gather(self, value: Any) -> list[Any]:
        """Each process's value, by rank; waits for all of them."""
        if self.share.processes == 1:
            return [value]
        values: list[Any] = [None] * self.share.processes
        torch.distributed.all_gather_object(values, value)
        return values
