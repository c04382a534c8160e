"""Negative preference optimisation without a reference."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from unlearning.objectives.rows import Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class SimNPO(Weighted):
    """F = -(2 / beta) log sigmoid(beta * CE - gamma) (Fan et al. 2024, arXiv 2410.07163).

    CE is the answer's mean cross-entropy over its tokens. The larger beta, the sooner the gradient of a forgotten
    answer fades; gamma is the margin that beta * CE must at least reach. The authors' code (and open-unlearning's) has
    beta * (CE - gamma); this is the paper's form. With gamma = 0, the published setting, both are the same.
    """

    beta: float = 4.5
    gamma: float = 0.0

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) (2 / beta) log(1 + exp(gamma - beta * CE)) of each row."""
        return 2 / self.beta * functional.softplus(self.gamma - self.beta * rows.mean(rows.values))
