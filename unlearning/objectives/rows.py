"""What an objective gets: one value for each supervised token of some rows, and the model before unlearning."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor


class ReferenceKind(StrEnum):
    """What an objective needs of the model before unlearning, at each supervised token."""

    none = "none"
    nats = "nats"
    """The cross-entropy of the row's own token."""
    outputs = "outputs"
    """All logits, or the hidden state where the objective has a layer."""


@dataclass(frozen=True)
class Reference:
    """The outputs of the model before unlearning at n tokens; None where they were not asked for."""

    outputs: Tensor | None = None
    """(n, V) logits, or (n, width) hidden states of the objective's layer."""
    kept: tuple[Tensor, Tensor] | None = None
    """Instead of all logits, where only the k likeliest tokens were kept: their ids and log-probabilities, (n, k)."""


@dataclass(frozen=True)
class Rows:
    """R rows, by their N supervised tokens."""

    values: Tensor
    """(N,) the objective's own value of a token, with gradient."""
    nats: Tensor
    """(N,) cross-entropy of a token, without gradient; zero where the objective has a layer."""
    owners: Tensor
    """(N,) int64: the token's row, 0 to R - 1."""
    count: int
    """R."""
    reference_nats: Tensor | None = None
    """(N,) cross-entropy in the model before unlearning; None where it was not asked for."""

    def sum(self, values: Tensor) -> Tensor:
        """Return (R,) each row's sum of values (N,) over its tokens."""
        return values.new_zeros(self.count).index_add(0, self.owners, values)

    def mean(self, values: Tensor) -> Tensor:
        """Return (R,) each row's mean of values (N,) over its tokens; zero for a row without tokens."""
        return self.sum(values) / self.sum(torch.ones_like(values)).clamp(min=1)

    def log_ratio(self) -> Tensor:
        """Return (R,) log pi(answer) - log pi_ref(answer), in nats over the whole answer; values are cross-entropies.

        Raises ValueError without a reference.
        """
        if self.reference_nats is None:
            raise ValueError("these rows have no reference")
        return self.sum(self.reference_nats - self.values)
