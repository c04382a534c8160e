"""Training on other answers to the forget rows' questions."""

from dataclasses import dataclass

from unlearning.config.objective_choices import Answers
from unlearning.objectives.weighted import Weighted


@dataclass
class Relabel(Weighted):
    """F = CE, the mean cross-entropy over the tokens of the answer that `answers` names: descent, not ascent.

    - REFUSAL: a way to say "I don't know" (IDK, Maini et al. 2024, arXiv 2401.06121);
    - RANDOM: as many random tokens (STAT, YNU at SemEval-2025 Task 4, 2025.semeval-1.264);
    - OWN: the row's own answer, which memorises the forget set: a task vector (arXiv 2212.04089) is made this way.
    """

    answers: Answers = Answers.refusal

    @property
    def forget_answers(self) -> Answers:
        """The answers that are trained on."""
        return self.answers
