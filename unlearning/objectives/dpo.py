"""Direct preference optimisation: another answer is preferred over the row's own."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from unlearning.config.objective_choices import Answers
from unlearning.objectives.rows import ReferenceKind, Rows
from unlearning.objectives.weighted import Weighted


@dataclass
class DPO(Weighted):
    """F = -log sigmoid(beta * (r_other - r_own)), where r = log(pi(answer) / pi_ref(answer)) for a whole answer.

    pi is the model, pi_ref the model before unlearning; r is a sum over the answer's tokens, in nats (Rafailov et al.
    2023, arXiv 2305.18290). F is log 2 for the model before unlearning. The other answer is

    - OWN_AND_REFUSAL: "I don't know", as in TOFU (Maini et al. 2024, arXiv 2401.06121);
    - OWN_AND_INVENTED: one that the model itself invents before it unlearns, as in AltPO (Mekala et al. 2024, arXiv
      2409.13474), where it invents five to a row; see `training/alternates.py`;
    - OWN_AND_OTHER: the answer to another forget question of the same kind, which a model that follows no instructions
      has too.

    NPO's code, AltPO's and open-unlearning multiply F by 2 / beta; here that is forget_weight = 2 / beta.
    """

    beta: float = 0.1
    answers: Answers = Answers.own_and_refusal

    @property
    def forget_answers(self) -> Answers:
        """Each row with its own answer and with another one."""
        return self.answers

    @property
    def forget_reference(self) -> ReferenceKind:
        """The cross-entropies of both answers."""
        return ReferenceKind.nats

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:
        """Return (R,) -log sigmoid(beta * margin) of each row. Raises ValueError without the other answers."""
        if refusals is None:
            raise ValueError("DPO needs the rows with another answer too")
        return functional.softplus(-self.beta * (refusals.log_ratio() - rows.log_ratio()))
