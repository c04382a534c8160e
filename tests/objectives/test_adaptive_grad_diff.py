"""alpha = clip(0.3 * 6^dL + 0.8, 1.2, 2.8) against the first epoch's losses, worked out by hand."""

import math

import pytest

from tests.objectives.made import step_loss
from unlearning.config.objective_choices import ReferenceLoss
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff


def seen(objective: AdaptiveGradDiff) -> AdaptiveGradDiff:
    """Return the objective after a first epoch of two steps with losses 0.2 and 0.4, of 2 and 4 retain rows."""
    for loss, rows in ((0.2, 2), (0.4, 4)):
        assert objective.weights(loss, True) == (1.0, objective.min_weight)
        objective.observe(loss, rows, True)
    return objective


@pytest.mark.parametrize(
    ("loss", "alpha"),
    [
        (0.1, 1.2),
        (0.3, 1.2),
        (0.4, 1.2),
        (0.3 + 0.5, 0.3 * math.sqrt(6) + 0.8),
        (1.3, 0.3 * 6 + 0.8),
        (2.3, 2.8),
        (1e9, 2.8),
    ],
)
def test_later_epochs(loss: float, alpha: float) -> None:
    """The loss is below, at and above the mean of 0.3, up to both ends of the clip."""
    assert seen(AdaptiveGradDiff()).weights(loss, False) == (1.0, pytest.approx(alpha))


def test_reference_over_rows() -> None:
    """(0.2 + 0.4) / (2 + 4) = 0.1, so that 0.6 is a rise of 0.5 and 0.3 one of 0.2."""
    objective = seen(AdaptiveGradDiff(reference_loss=ReferenceLoss.sum_over_rows, min_weight=1.0))
    assert objective.weights(0.6, False)[1] == pytest.approx(0.3 * math.sqrt(6) + 0.8)
    assert objective.weights(0.3, False)[1] == pytest.approx(0.3 * 6**0.2 + 0.8)
    assert objective.weights(0.1, False)[1] == 1.0


def test_rounded_to_tenths() -> None:
    """0.3 * sqrt 6 + 0.8 = 1.535 becomes 1.5; what is rounded is clipped, not the other way round."""
    assert seen(AdaptiveGradDiff(round_to_tenths=True)).weights(0.8, False)[1] == 1.5
    clipped = seen(AdaptiveGradDiff(round_to_tenths=True, min_weight=1.55, max_weight=2.55))
    assert clipped.weights(0.8, False)[1] == 1.55
    assert clipped.weights(1.3, False)[1] == 2.55


def test_later_losses_do_not_move_the_reference() -> None:
    """Only the losses of the first epoch make the reference."""
    objective = seen(AdaptiveGradDiff())
    objective.observe(50.0, 8, False)
    assert objective.weights(1.3, False)[1] == pytest.approx(2.6)


def test_steps_without_retain_rows() -> None:
    """Steps without retain rows do not count, and their weight is the minimum."""
    objective = seen(AdaptiveGradDiff())
    objective.observe(None, 0, True)
    assert objective.weights(None, False) == (1.0, 1.2)
    assert objective.weights(1.3, False)[1] == pytest.approx(2.6)


@pytest.mark.parametrize("kind", list(ReferenceLoss))
def test_state_survives(kind: ReferenceLoss) -> None:
    """A resumed objective has the same reference."""
    resumed = AdaptiveGradDiff(reference_loss=kind)
    resumed.load_state(seen(AdaptiveGradDiff(reference_loss=kind)).state())
    assert resumed.weights(0.8, False) == seen(AdaptiveGradDiff(reference_loss=kind)).weights(0.8, False)
    assert resumed.weights(0.8, False)[1] > 1.2


def test_loss_of_the_first_epoch() -> None:
    """-(1 + 3)/2 + 1.2 * 2 = 0.4."""
    assert step_loss(AdaptiveGradDiff(), [[1.0], [3.0]], [[2.0]]) == pytest.approx(0.4)
    assert AdaptiveGradDiff().retain_first
