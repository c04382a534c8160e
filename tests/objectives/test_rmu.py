"""Hidden states towards a random direction, or back to where they were, worked out by hand."""

import math

import pytest
import torch

from tests.objectives.made import gradient
from unlearning.config.checks import check_ranges
from unlearning.config.objective import RMUConfig
from unlearning.errors import InputError
from unlearning.objectives.rmu import RMU
from unlearning.objectives.rows import Reference, ReferenceKind, Rows

STATES = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
BEFORE = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
"""Of lengths 5 and 2."""
TARGETS = torch.zeros(2, dtype=torch.long)


def states() -> torch.Tensor:
    """Return STATES with gradient."""
    return STATES.clone().requires_grad_()


def test_direction() -> None:
    """Its length is 1, its numbers are uniform before they are normalised, and it is the same for every call."""
    u = RMU(seed=3).direction(4096)
    assert float(u.square().sum()) == pytest.approx(1.0)
    assert u.min() >= 0
    # Mean over root mean square: 1/2 over 1/sqrt 3 for uniform numbers (0.80 for the absolute values of normal ones).
    assert float(u.mean()) * 64 == pytest.approx(math.sqrt(3) / 2, abs=0.02)
    assert torch.equal(u, RMU(seed=3).direction(4096))
    assert not torch.equal(u, RMU(seed=4).direction(4096))


def test_forget_value_and_gradient() -> None:
    """((h1 - c u1)^2 + (h2 - c u2)^2) / 2, gradient h - c u."""
    objective = RMU(coefficient=6.5)
    u1, u2 = objective.direction(2).tolist()
    h = states()
    found = objective.forget_values(h, TARGETS, Reference())
    expected = [
        ((1 - 6.5 * u1) ** 2 + (2 - 6.5 * u2) ** 2) / 2,
        ((0 - 6.5 * u1) ** 2 + (-1 - 6.5 * u2) ** 2) / 2,
    ]
    assert found.tolist() == pytest.approx(expected)
    slopes = [[1 - 6.5 * u1, 2 - 6.5 * u2], [-6.5 * u1, -1 - 6.5 * u2]]
    assert gradient(found.sum(), h).tolist() == [pytest.approx(slope) for slope in slopes]


def test_adaptive_target() -> None:
    """c is 2 * 5 = 10 for the first state and 2 * 2 = 4 for the second."""
    objective = RMU(coefficient=2.0, adaptive=True)
    u1, u2 = objective.direction(2).tolist()
    found = objective.forget_values(STATES, TARGETS, Reference(outputs=BEFORE))
    expected = [
        ((1 - 10 * u1) ** 2 + (2 - 10 * u2) ** 2) / 2,
        ((0 - 4 * u1) ** 2 + (-1 - 4 * u2) ** 2) / 2,
    ]
    assert found.tolist() == pytest.approx(expected)


def test_a_target_that_is_reached() -> None:
    """Value and gradient are zero there."""
    objective = RMU(coefficient=3.0)
    h = (3 * objective.direction(2)).expand(2, 2).clone().requires_grad_()
    found = objective.forget_values(h, TARGETS, Reference())
    assert found.tolist() == [0.0, 0.0]
    assert gradient(found.sum(), h).abs().max() == 0


def test_retain_value_and_gradient() -> None:
    """10 * ((1 - 3)^2 + (2 - 4)^2) / 2 = 40 and 10 * 9 / 2 = 45; gradients 10 (h - before)."""
    h = states()
    found, nats = RMU(alpha=10.0).retain_values_and_nats(h, TARGETS, Reference(outputs=BEFORE))
    assert found.tolist() == [40.0, 45.0]
    assert gradient(found.sum(), h).tolist() == [[-20.0, -20.0], [0.0, -30.0]]
    assert nats.tolist() == [0.0, 0.0]


def test_a_model_that_has_not_moved_costs_nothing() -> None:
    """The retain values of such a model are zero."""
    assert RMU().retain_values(BEFORE, TARGETS, Reference(outputs=BEFORE)).tolist() == [0.0, 0.0]


def test_terms_are_means_over_positions() -> None:
    """The term is (40 + 45) / 2."""
    values, nats = RMU(alpha=10.0).retain_values_and_nats(STATES, TARGETS, Reference(outputs=BEFORE))
    rows = Rows(values, nats, torch.tensor([0, 0]), 1)
    assert RMU().retain_terms(rows).tolist() == [42.5]
    assert RMU().forget_terms(rows, None).tolist() == [42.5]


def test_what_it_asks_for() -> None:
    """It asks for a layer's output, and for that before unlearning on retain rows, and where the target is adaptive."""
    assert RMU(layer=3).layer == 3
    assert RMU().retain_reference is ReferenceKind.outputs
    assert RMU().forget_reference is ReferenceKind.none
    assert RMU(adaptive=True).forget_reference is ReferenceKind.outputs
    assert RMU().uses_retain
    assert not RMU(alpha=0.0).uses_retain
    with pytest.raises(ValueError, match="reference"):
        RMU(adaptive=True).forget_values(STATES, TARGETS, Reference())


@pytest.mark.parametrize("key", ["retain_weight", "divergence_weight"])
def test_alpha_is_the_only_retain_weight(key: str) -> None:
    """The other two weights are refused rather than ignored."""
    with pytest.raises(InputError, match=rf"objective\.{key}=0\.5: must be \d: RMU has alpha instead"):
        check_ranges(RMUConfig(**{key: 0.5}), "objective")  # type: ignore[arg-type]
