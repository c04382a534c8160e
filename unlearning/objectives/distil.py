"""Distillation from the model before the run, on the rows of both sets."""

from dataclasses import dataclass

from torch import Tensor

from unlearning.objectives.divergences import divergence
from unlearning.objectives.rows import Reference, ReferenceKind
from unlearning.objectives.weighted import Weighted


@dataclass
class Distil(Weighted):
    """F = mean over tokens of D(p, q), the divergence of the retain term, on forget rows too.

    p is the distribution of the model before the run, q that of the model now. UNDO distils an unlearned model into a
    student that starts from its own weights, partly made noise (`noised_start`), with KL and equal weights (Lee et al.
    2025, arXiv 2506.06278): forget_weight=1, retain_weight=0, divergence=kl, divergence_weight=1.
    """

    @property
    def forget_reference(self) -> ReferenceKind:
        """All outputs."""
        return ReferenceKind.outputs

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) the divergence at each token, from logits (n, V). Raises ValueError without a reference."""
        return divergence(self.divergence, outputs, reference, self.renyi_order)
