"""Cross-entropy, and divergences between two next-token distributions: one value a token, in nats.

p is the distribution of the reference (the model before unlearning), q that of the model now. All divergences are at
least zero, and zero where both are equal.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from unlearning.config.objective_choices import Divergence
from unlearning.objectives.rows import Reference


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return (n,) -log q(target), from logits (n, V) and targets (n,)."""
    return functional.cross_entropy(logits, targets, reduction="none")


def divergence(kind: Divergence, logits: Tensor, reference: Reference, order: float) -> Tensor:
    """Return (n,) the divergence between the reference and the model's logits (n, V), where the sums run over tokens.

    - KL: sum p (log p - log q) (KL minimisation in Maini et al. 2024, arXiv 2401.06121);
    - REVERSE_KL: sum q (log q - log p);
    - JS: (KL(p, m) + KL(q, m)) / 2 with m = (p + q) / 2, at most log 2 (Lin 1991);
    - RENYI of order a, not 1: log(sum p^a q^(1 - a)) / (a - 1) (Renyi 1961; van Erven and Harremoes 2014,
      arXiv 1206.2459), which tends to KL as a tends to 1.

    Raises ValueError without a reference.
    """
    log_p, log_q = _log_probabilities(logits, reference)
    if kind is Divergence.kl:
        return _expectation(log_p, log_p - log_q)
    if kind is Divergence.reverse_kl:
        return _expectation(log_q, log_q - log_p)
    if kind is Divergence.js:
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        return (_expectation(log_p, log_p - log_m) + _expectation(log_q, log_q - log_m)) / 2
    return (order * log_p + (1 - order) * log_q).logsumexp(-1) / (order - 1)


def _expectation(log_weights: Tensor, values: Tensor) -> Tensor:
    """Return (n,) the sums over the last dimension of exp(log_weights) * values, both (n, K).

    An outcome of probability zero adds nothing, whatever its value.
    """
    weights = log_weights.exp()
    return torch.where(weights > 0, weights * values, 0.0).sum(-1)


def _log_probabilities(logits: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
    """Return (log p, log q), each (n, V); each (n, k + 1) where only k tokens of the reference were kept."""
    log_q = logits.log_softmax(-1)
    if reference.outputs is not None:
        return reference.outputs.log_softmax(-1), log_q
    if reference.kept is None:
        raise ValueError("a divergence needs the reference's outputs")
    ids, log_p = reference.kept
    return _with_rest(log_p), _with_rest(log_q.gather(-1, ids))


def _with_rest(log_kept: Tensor) -> Tensor:
    """Return (n, k + 1) log-probabilities: the given (n, k), then that of all other tokens together, at least 1e-9."""
    rest = 1 - log_kept.exp().sum(-1, keepdim=True)
    return torch.cat([log_kept, rest.clamp(min=1e-9).log()], dim=-1)
