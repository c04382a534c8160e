"""Self-distillation from adjusted logits."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference, ReferenceKind
from unlearning.objectives.weighted import Weighted


@dataclass
class UnDIAL(Weighted):
    """F = mean over tokens of -sum_j p_j log q_j, with soft labels p = softmax(z - strength * onehot(token)).

    z (n, V) are the logits of the model before unlearning, q (n, V) the model's probabilities (Dong et al. 2024,
    arXiv 2402.10052). This is descent to a fixed target: when the model has reached it, it stays there. Where only the
    k likeliest tokens of the reference were kept (reference_top_k), the labels of all other tokens are zero.
    """

    strength: float = 10.0

    @property
    def forget_reference(self) -> ReferenceKind:
        """All logits."""
        return ReferenceKind.outputs

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:
        """Return (n,) the cross-entropy of each token with its soft labels. Raises ValueError without a reference."""
        log_q = outputs.log_softmax(-1)
        if reference.kept is not None:
            ids, logits = reference.kept
            log_q = log_q.gather(-1, ids)
        elif reference.outputs is not None:
            logits = reference.outputs
            ids = torch.arange(logits.shape[-1], device=logits.device)
        else:
            raise ValueError("UnDIAL needs the reference's outputs")
        labels = torch.where(ids == targets.unsqueeze(-1), logits - self.strength, logits).softmax(-1)
        return -(labels * log_q).sum(-1)
