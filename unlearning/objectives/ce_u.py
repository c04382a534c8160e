"""Cross-entropy unlearning."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearning.objectives.rows import Reference, Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class CEU(Weighted):
    """F = mean over tokens of -sum_j p_j log q_j (Yang 2025, arXiv 2503.01224).

    q = softmax(z) are the model's probabilities from its logits z (n, V); p is softmax(z) after the logit of the true
    token was set to minus infinity, computed anew at every step and without gradient. The gradient of one token's value
    is q_y in the logit of the true token y, and -q_j q_y / (1 - q_y) in that of any other token j: it is bounded, and
    it fades as y is forgotten.

    The first `ignored_tokens` supervised tokens of a row do not enter its mean. The default of one is from a footnote
    on the paper's settings, and open-unlearning has it too. A row's last token always enters, so that each row has one.
    """

    ignored_tokens: int = 1

    def forget_values(self, outputs: Tensor, targets: Tensor, reference: Reference) -> Tensor:  # noqa: ARG002
        """Return (n,) the cross-entropy of each token with p, from logits (n, V) and true tokens (n,)."""
        own = targets.unsqueeze(-1)
        labels = outputs.detach().scatter(-1, own, float("-inf")).softmax(-1)
        return -(labels * outputs.log_softmax(-1)).sum(-1)

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) the mean of each row's values over the tokens that are not ignored."""
        tokens = torch.bincount(rows.owners, minlength=rows.count)
        ignored = (tokens - 1).clamp(min=0, max=self.ignored_tokens)
        places = _places_in_rows(rows.owners, tokens)
        counted = (places >= ignored[rows.owners]).to(rows.values.dtype)
        return rows.sum(rows.values * counted) / rows.sum(counted).clamp(min=1)


def _places_in_rows(owners: Tensor, tokens: Tensor) -> Tensor:
    """Return (N,) each token's place in its row, from 0; `owners` (N,) are the rows, `tokens` (R,) their lengths."""
    order = torch.argsort(owners, stable=True)
    starts = tokens.cumsum(0) - tokens
    places = torch.empty_like(order)
    places[order] = torch.arange(len(owners), device=owners.device) - starts[owners[order]]
    return places
