"""Unlikelihood training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference
from unlearning.objectives.weighted import Weighted


@dataclass
class Unlikelihood(Weighted):
    """F = mean over tokens of -log(1 - p), p the token's probability (Welleck et al. 2020, arXiv 1908.04319).

    Its gradient is that of ascent on the cross-entropy times p / (1 - p). So tokens that the model is sure of are
    pushed most, and those that it no longer expects hardly at all, where ascent does the opposite.
    """

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) -log(1 - p) of each token, in nats.

        1 - p is the sum over all other tokens, so that it is exact where p is next to 1.
        """
        others = outputs.scatter(1, targets.unsqueeze(1), -torch.inf).logsumexp(1)
        return outputs.logsumexp(1) - others
