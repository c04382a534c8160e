"""What an objective gets to see: one value for each supervised position of some rows."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor


class ReferenceKind(StrEnum):
    """What of the model before unlearning is needed at each supervised position."""

    none = "none"
    nats = "nats"
    """The cross-entropy of the row's own token."""
    outputs = "outputs"
    """All logits, or the hidden state where the objective looks at a layer."""


@dataclass(frozen=True)
class Reference:
    """What the model before unlearning made of n positions; None what was not asked for."""

    outputs: Tensor | None = None
    """(n, V) logits, or (n, width) hidden states of the objective's layer."""
    kept: tuple[Tensor, Tensor] | None = None
    """In the logits' place where only the k likeliest tokens were kept: their ids (n, k), log-probabilities (n, k)."""


@dataclass(frozen=True)
class Rows:
    """R rows at their N supervised positions."""

    values: Tensor
    """(N,) the objective's own value of a position, with gradient."""
    nats: Tensor
    """(N,) cross-entropy of a position, without gradient; zero where the objective looks at hidden states."""
    owners: Tensor
    """(N,) int64: the position's row, 0 to R - 1."""
    count: int
    """R."""
    reference_nats: Tensor | None = None
    """(N,) cross-entropy in the model before unlearning, where it was asked for."""

    def sum(self, values: Tensor) -> Tensor:
        """(N,) to (R,): each row's sum over its positions."""
        return values.new_zeros(self.count).index_add(0, self.owners, values)

    def mean(self, values: Tensor) -> Tensor:
        """(N,) to (R,): each row's mean over its positions; zero for a row without any."""
        return self.sum(values) / self.sum(torch.ones_like(values)).clamp(min=1)

    def log_ratio(self) -> Tensor:
        """(R,): log pi(answer) - log pi_ref(answer), in nats over the whole answer, where values are cross-entropies.

        Raises ValueError without a reference.
        """
        if self.reference_nats is None:
            raise ValueError("these rows have no reference")
        return self.sum(self.reference_nats - self.values)
