"""The restatements give the right numbers where these are known without another implementation."""

import pytest
import torch

from tests.reference.in_double import InDouble
from tests.reference.plain_ails import Agad
from tests.reference.plain_training import PlainTrainer, Side, Tokens, padded, row_means, token_losses, token_mean
from tests.tiny_models import tiny_model

ROWS: list[Tokens] = [((5, 6, 7), 1), ((8, 9, 10, 11, 12), 3), ((13, 14), 1)]
"""Labels of 2, 2 and 1 tokens."""


def test_padding_by_hand() -> None:
    """Rows are padded to the longest, or to the next multiple; prompt and padding have no label."""
    ids, mask, labels = padded(ROWS[:2], "left")
    assert ids.tolist() == [[0, 0, 5, 6, 7], [8, 9, 10, 11, 12]]
    assert mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert labels.tolist() == [[-100, -100, -100, 6, 7], [-100, -100, -100, 11, 12]]
    ids, mask, labels = padded([ROWS[2]], "right", multiple=4)
    assert (ids.tolist(), mask.tolist()) == ([[13, 14, 0, 0]], [[1, 1, 0, 0]])
    assert labels.tolist() == [[-100, 14, -100, -100]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_losses_are_those_of_a_row_by_itself(side: Side) -> None:
    """The losses are the same on either side of padding; means over rows and over tokens follow from them."""
    with InDouble(), torch.no_grad():
        model = tiny_model("olmo").double()
        alone = []
        for ids, start in ROWS:
            logs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            alone.append([-float(logs[at - 1, ids[at]]) for at in range(start, len(ids))])
        losses, asked = token_losses(model, ROWS, side)
        assert losses[asked].tolist() == pytest.approx([loss for row in alone for loss in row], abs=1e-12)
        assert row_means(model, ROWS, side).tolist() == pytest.approx([sum(row) / len(row) for row in alone], abs=1e-12)
        assert float(token_mean(model, ROWS, side)) == pytest.approx(sum(map(sum, alone)) / 5, abs=1e-12)


def test_learning_rate_falls_linearly_and_gradients_are_averaged() -> None:
    """AdamW without decay and with a constant gradient moves by its learning rate: 0.3, 0.2, 0.1 over three steps.

    Two losses of 2w and 4w make a step of 3w.
    """
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 5.0)
    trainer = PlainTrainer(model, 0.3, 3)  # type: ignore[arg-type]
    for expected in (4.7, 4.5, 4.4):
        weight = model.weight.item()
        shares = [trainer.backward(factor * model.weight.sum(), 2) for factor in (2.0, 4.0)]
        assert sum(shares) == pytest.approx(3 * weight)
        assert model.weight.grad is not None
        assert model.weight.grad.item() == pytest.approx(3.0)
        trainer.step()
        assert model.weight.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "draws",
    [
        [[0, 1, 2], [0, 1]],
        [[0, 0], [0, 1]],
        [[0, 1], [2, 2]],
        [[1, 2], [0, 1]],
        [[0, 1], [2], [0, 2]],
    ],
    ids=["too-many", "twice", "remainder", "another-chunk", "not-all-retain-rows"],
)
def test_draws_that_do_not_fit_are_refused(draws: list[list[int]]) -> None:
    """Three forget rows in chunks of two, one epoch; two retain rows, of which every second chunk would draw one."""
    model = tiny_model("olmo")
    with pytest.raises(ValueError, match="are not"):
        Agad(model, ROWS, ROWS[:2], draws, 20).train(
            chunk=2, interleaving=0.5, fraction=0.5, ascent=(1e-3, 1, 2), annealing=(1e-3, 1, 2)
        )
