"""Negative preference optimisation."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from unlearning.config.objective_choices import RatioUnit
from unlearning.objectives.rows import ReferenceKind, Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class NPO(Weighted):
    """F = (2 / beta) log(1 + (pi / pi_ref) ** beta) (Zhang et al. 2024, arXiv 2404.05868).

    pi is the answer's probability by the model, pi_ref by the model before unlearning. F is at least 0, and it is
    (2 / beta) log 2 for the model before unlearning. Its gradient is that of -CE times 2 s / (1 + s), where
    s = (pi / pi_ref) ** beta: it fades as the answer becomes less likely; beta = 0 would be gradient ascent. `unit`
    says whose probability pi is:

    - ANSWER: the whole answer's, a product over its tokens, as in the paper;
    - MEAN: the geometric mean over the answer's tokens (ZJUKLAB's code, arXiv 2503.21088: losses are token means);
    - TOKEN: each token's; F is then the mean over tokens (Atyaephyra, arXiv 2503.13690; TNPO in arXiv 2502.19301).
    """

    beta: float = 0.1
    unit: RatioUnit = RatioUnit.answer

    @property
    def forget_reference(self) -> ReferenceKind:
        """The cross-entropies of the row's own tokens."""
        return ReferenceKind.nats

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:  # noqa: ARG002
        """Return (R,) (2 / beta) log(1 + ratio ** beta) of each row. Raises ValueError without a reference."""
        if rows.reference_nats is None:
            raise ValueError("NPO needs the reference's cross-entropies")
        if self.unit is RatioUnit.answer:
            return self._term(rows.log_ratio())
        by_token = rows.reference_nats - rows.values
        if self.unit is RatioUnit.mean:
            return self._term(rows.mean(by_token))
        return rows.mean(self._term(by_token))

    def _term(self, log_ratio: Tensor) -> Tensor:
        return 2 / self.beta * functional.softplus(self.beta * log_ratio)
