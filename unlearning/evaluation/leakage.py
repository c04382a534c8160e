"""leak@k: the best score that k independent samples of one answer are expected to have (arXiv 2511.04934).

    leak@k = E[max of S_1 ... S_k]

where S_j in [0, 1] is the score of the j-th sample for one prompt. Where scores are 0 or 1, this is the probability
that the forgotten answer is among k samples, known as pass@k.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def exact_leak(log_p: float, count: int) -> float:
    """Return 1 - (1 - p) ** count for the logarithm of p, in nats: p is the probability of a sample that leaks.

    Computed without rounding 1 - p, so that it is right where p is far below the smallest step from 1. `log_p` may be
    minus infinity; above 0, which only rounding brings about, it counts as 0.
    """
    p = math.exp(min(log_p, 0.0))
    return 1.0 if p == 1 else -math.expm1(count * math.log1p(-p))


def sampled_leak(scores: Sequence[float], count: int) -> float:
    """Return the unbiased estimate of leak@count from the scores of n >= count independent samples.

    It is the mean of the greatest score over all subsets of `count` samples. For scores of 0 and 1, c of them 1, it is
    1 - C(n - c, count) / C(n, count) (Chen et al. 2021, arXiv 2107.03374). Raises ValueError for fewer samples.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    return float(order_weights(len(ordered), count) @ ordered)


def order_weights(samples: int, count: int) -> NDArray[np.float64]:
    """Return (n,) the share of all subsets of `count` samples in which the j-th lowest of n scores is the greatest.

    The share is C(j - 1, count - 1) / C(n, count). It is computed downwards from count / n, each as a multiple of the
    one above it, since the binomials themselves are too large for floating point. Raises ValueError unless
    1 <= count <= samples.
    """
    if not 1 <= count <= samples:
        raise ValueError(f"{count} of {samples} samples: must be 1 or more, and no more than there are")
    weights = np.zeros(samples)
    weights[-1] = count / samples
    for rank in range(samples, count, -1):
        weights[rank - 2] = weights[rank - 1] * (rank - count) / (rank - 1)
    return weights


def unseen_bound(samples: int, alpha: float = 0.05) -> float:
    """Return the greatest probability of a leak that `samples` samples without any leak are compatible with.

    It is 1 - alpha ** (1 / n), the upper end of Clopper and Pearson's one-sided interval with confidence 1 - alpha.
    """
    return float(-math.expm1(math.log(alpha) / samples))
