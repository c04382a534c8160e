"""Evaluation on several processes: each has the whole model on its device and measures a share of the items.

At the end every process has all scores, in the order in which a single process would have them. The generations are the
same to the letter. The losses are the same up to rounding, since an item may share its batch with other items.
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
    """The items that one process measures: of n processes, the one of rank r takes items r, r + n, r + 2n and so on.

    Neighbouring items are often alike, and so each process gets some of every kind. Where there are fewer items than
    processes, some shares are empty.
    """

    rank: int = 0
    processes: int = 1

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Return the process's own items, in their order."""
        return list(items[self.rank :: self.processes])


WHOLE = Share()


class ProcessGroup:
    """The processes that evaluate together. This class is a single process; a subclass connects several."""

    def __init__(self, rank: int = 0, processes: int = 1) -> None:
        self.share = Share(rank, processes)

    @property
    def is_writer(self) -> bool:
        """Whether this process reads and writes the files of the evaluation; only the first one does."""
        return self.share.rank == 0

    def broadcast(self, value: Any) -> Any:
        """Return the first process's value."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return each process's value, by rank."""
        return [value]

    def collect_scores(self, measure: Callable[[Share], list[Any]], divided: bool) -> list[Any]:
        """Return all scores, in the order of the items.

        `measure` returns one score for each item of a share. Where the work is not divided, the first process does all
        of it. Raises InputError in all processes if it is raised in one, so that none waits for another for ever.
        """
        scores, message = [], None
        if divided or self.is_writer:
            try:
                scores = measure(self.share if divided else WHOLE)
            except InputError as error:
                message = str(error)
        found = self.gather((scores, message))
        messages = [text for _, text in found if text is not None]
        if messages:
            raise InputError(messages[0])
        return merge_shares([own for own, _ in found]) if divided else list(found[0][0])


def merge_shares(shares: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the scores of all shares (see `Share`) in the order of the items."""
    items: list[Any] = [None] * sum(map(len, shares))
    for rank, own in enumerate(shares):
        items[rank :: len(shares)] = own
    return items


class FabricProcessGroup(ProcessGroup):
    """The processes of a Fabric that has been launched."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__(fabric.global_rank, fabric.world_size)
        self.fabric = fabric
        self.device = fabric.device

    def broadcast(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        return self.fabric.broadcast(value)

    def gather(self, value: Any) -> list[Any]:
        """Return each process's value, by rank, once all of them have called this."""
        if self.share.processes == 1:
            return [value]
        values: list[Any] = [None] * self.share.processes
        torch.distributed.all_gather_object(values, value)
        return values
