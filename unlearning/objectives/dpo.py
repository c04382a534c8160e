"""Direct preference optimisation: a refusal is preferred over the answer."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from unlearning.config.objective import Answers
from unlearning.objectives.rows import ReferenceKind, Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class DPO(Weighted):
    """F = -log sigmoid(beta * (r_refusal - r_own)), where r = log(pi(answer) / pi_ref(answer)) for a whole answer.

    pi is the model, pi_ref the model before unlearning; r is a sum over the answer's tokens, in nats. Rafailov et al.
    2023, arXiv 2305.18290, with "I don't know" preferred as in TOFU (Maini et al. 2024, arXiv 2401.06121). F is log 2
    for the model before unlearning. NPO's code and open-unlearning multiply F by 2 / beta; here that is
    forget_weight = 2 / beta.
    """

    beta: float = 0.1

    @property
    def forget_answers(self) -> Answers:
        """Each row with its own answer and with a refusal."""
        return Answers.own_and_refusal

    @property
    def forget_reference(self) -> ReferenceKind:
        """The cross-entropies of both answers."""
        return ReferenceKind.nats

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:
        """Return (R,) -log sigmoid(beta * margin) of each row. Raises ValueError without the refusals."""
        if refusals is None:
            raise ValueError("DPO needs the rows with a refusal too")
        return functional.softplus(-self.beta * (refusals.log_ratio() - rows.log_ratio()))
