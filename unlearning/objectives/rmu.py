"""Representation misdirection."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference, ReferenceKind
from unlearning.objectives.weighted import Weighted


@dataclass
class RMU(Weighted):
    """L = forget_weight * mean (h - c u) ** 2 + alpha * mean (h - h_ref) ** 2, on forget and on retain rows.

    h (width,) is the output of layer `layer` at a token, h_ref (width,) its output before unlearning; the means are
    over the width, then over a row's tokens, then over rows as in `Objective`. u (width,) is one random direction of
    length 1: its numbers are drawn from [0, 1) by `seed` and then normalised. c is

    - RMU: `coefficient` (Li et al. 2024, arXiv 2403.03218);
    - adaptive: coefficient * |h_ref| of the same token (Huu-Tien et al. 2024, arXiv 2408.06223). The authors' code has
      instead one c for each topic, the mean of |h| over the topic's first batch.

    The papers' norms are sums over the width; the means are those of their code, for which alpha was found. No logits
    are computed: cross-entropies are not known, and a ceiling on them has no effect.
    """

    layer: int = 7
    coefficient: float = 6.5
    adaptive: bool = False
    alpha: float = 1200.0
    seed: int = 0
    """Seed of the random direction."""

    @property
    def uses_retain(self) -> bool:
        """Whether the retain term has a weight."""
        return self.alpha > 0

    @property
    def forget_reference(self) -> ReferenceKind:
        """The hidden states where c depends on their length, else nothing."""
        return ReferenceKind.outputs if self.adaptive else ReferenceKind.none

    @property
    def retain_reference(self) -> ReferenceKind:
        """The hidden states."""
        return ReferenceKind.outputs

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) mean (h - c u) ** 2 of each token, from hidden states (n, width)."""
        target = self.coefficient * self.direction(outputs.shape[-1]).to(outputs)
        if self.adaptive:
            target = target * torch.linalg.vector_norm(_states(reference), dim=-1, keepdim=True)
        return (outputs - target).square().mean(-1)

    def retain_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) alpha * mean (h - h_ref) ** 2 of each token, from hidden states (n, width)."""
        return self.alpha * (outputs - _states(reference)).square().mean(-1)

    def direction(self, width: int) -> Tensor:
        """Return u: (width,), the same for every call, device and run."""
        drawn = torch.rand(width, generator=torch.Generator().manual_seed(self.seed))
        direction: Tensor = drawn / torch.linalg.vector_norm(drawn)
        return direction


def _states(reference: Reference) -> Tensor:
    """Return the reference's hidden states (n, width). Raises ValueError where there are none."""
    if reference.outputs is None:
        raise ValueError("RMU needs the reference's hidden states")
    return reference.outputs
