"""Cross-entropy descent on forget rows with other answers."""

import pytest
import torch

from tests.objectives.made import ascent, gradient, logits_of, rows_from, step_loss
from unlearning.config.checks import check_ranges
from unlearning.config.objective import DPOConfig, RelabelConfig
from unlearning.config.objective_choices import Answers, Averaging, Reduction
from unlearning.errors import InputError
from unlearning.objectives.relabel import Relabel


def test_loss_of_a_step() -> None:
    """(1 + 3)/2 + 6/3 = 4; over the tokens of the whole batch, as TOFU's code has it, (2 + 18 + 10) / 12 = 2.5."""
    forget, retain = [[0.5, 1.5], [2.0, 4.0, 3.0, 3.0, 3.0, 3.0]], [[0.5], [1.5], [3.0, 5.0]]
    assert step_loss(Relabel(), forget, retain) == pytest.approx(4.0)
    as_tofu = Relabel(reduction=Reduction.token, averaging=Averaging.whole_batch)
    assert step_loss(as_tofu, forget, retain) == pytest.approx(2.5)


def test_gradient_descends() -> None:
    """(q - onehot) / 2 at each of two tokens."""
    q = [[0.5, 0.25, 0.25], [0.1, 0.7, 0.2]]
    logits = logits_of(q)
    rows = rows_from(Relabel(), logits, [0, 2], [0, 0])
    found = gradient(Relabel().forget_terms(rows, None).sum(), logits)
    torch.testing.assert_close(found, -ascent(torch.tensor(q).double(), [0, 2]) / 2)


@pytest.mark.parametrize("answers", [Answers.own, Answers.refusal, Answers.random, Answers.other])
def test_answers(answers: Answers) -> None:
    """The objective asks for the answers that its key names."""
    assert Relabel(answers=answers).forget_answers is answers


def test_one_answer_a_row() -> None:
    """Only DPO has two answers a row."""
    with pytest.raises(
        InputError, match=r"objective\.answers=own_and_refusal: must be own, refusal, random, other or repeated"
    ):
        check_ranges(RelabelConfig(answers=Answers.own_and_refusal), "objective")
    with pytest.raises(
        InputError, match=r"objective\.answers=other: must be own_and_refusal, own_and_other, own_and_i"
    ):
        check_ranges(DPOConfig(answers=Answers.other), "objective")
