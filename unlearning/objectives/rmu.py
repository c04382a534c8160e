"""Representation misdirection."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference, ReferenceKind, Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class RMU(Weighted):
    """L = forget_weight * mean (h - c u) ** 2 + alpha * mean (h - h_ref) ** 2, on forget and on retain rows.

    h (width,) is what layer `layer` gives at a position, h_ref what it gave before unlearning; means are over the
    width, then over a row's positions. u is one random direction of length 1, its numbers drawn from [0, 1) and then
    normalised, and c

    - RMU: `coefficient` (Li et al. 2024, arXiv 2403.03218);
    - adaptive: coefficient * |h_ref| of the same position (Huu-Tien et al. 2024, arXiv 2408.06223). The authors' code
      has one c a topic in its place, the mean of |h| over the topic's first batch.

    The papers' norms are sums over the width; the means are their code's, for which alpha was found. No logits are
    made: cross-entropies are not known, and a ceiling on them has no effect.
    """

    layer: int = 7
    coefficient: float = 6.5
    adaptive: bool = False
    alpha: float = 1200.0
    seed: int = 0

    @property
    def uses_retain(self) -> bool:
        """Unless they have no weight."""
        return self.alpha > 0

    @property
    def forget_reference(self) -> ReferenceKind:
        """Hidden states where their length counts."""
        return ReferenceKind.outputs if self.adaptive else ReferenceKind.none

    @property
    def retain_reference(self) -> ReferenceKind:
        """Hidden states."""
        return ReferenceKind.outputs

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """(n,) mean squared distance from the random target, of hidden states (n, width)."""
        target = self.coefficient * self.direction(outputs.shape[-1]).to(outputs)
        if self.adaptive:
            target = target * torch.linalg.vector_norm(_states(reference), dim=-1, keepdim=True)
        return (outputs - target).square().mean(-1)

    def retain_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """(n,) alpha times the mean squared distance from where the state was, of hidden states (n, width)."""
        return self.alpha * (outputs - _states(reference)).square().mean(-1)

    def forget_terms(self, rows: Rows, others: Rows | None) -> Tensor:  # noqa: ARG002
        """Mean of each row."""
        return rows.mean(rows.values)

    def direction(self, width: int) -> Tensor:
        """u: (width,), the same for every call, device and run."""
        drawn = torch.rand(width, generator=torch.Generator().manual_seed(self.seed))
        direction: Tensor = drawn / torch.linalg.vector_norm(drawn)
        return direction


def _states(reference: Reference) -> Tensor:
    """The reference's hidden states. Raises ValueError without."""
    if reference.outputs is None:
        raise ValueError("RMU needs the reference's hidden states")
    return reference.outputs
