"""Numbers out of range end with one line that says the key, its value and what is allowed."""

from collections.abc import Callable

import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.objective import (
    CEUConfig,
    DPOConfig,
    GradDiffConfig,
    NPOConfig,
    ObjectiveConfig,
    PDUConfig,
    RMUConfig,
    SatImpConfig,
    SimNPOConfig,
    UnDIALConfig,
    WGAConfig,
)
from unlearning.config.objective_choices import AboveCeiling, CeilingUnit
from unlearning.errors import InputError

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: NPOConfig(beta=0.0), "objective.beta=0.0: must be above 0"),
    (lambda: NPOConfig(forget_weight=-1.0), "objective.forget_weight=-1.0: must be 0 or more"),
    (lambda: SimNPOConfig(beta=-2.5), "objective.beta=-2.5: must be above 0"),
    (lambda: DPOConfig(beta=0.0), "objective.beta=0.0: must be above 0"),
    (lambda: UnDIALConfig(strength=-1.0), "objective.strength=-1.0: must be 0 or more"),
    (lambda: UnDIALConfig(reference_top_k=1), "objective.reference_top_k=1: must be 2 or more, or null"),
    (lambda: WGAConfig(beta=-0.5), "objective.beta=-0.5: must be 0 or more"),
    (lambda: SatImpConfig(beta1=-1.0), "objective.beta1=-1.0: must be 0 or more"),
    (lambda: SatImpConfig(beta2=-1.0), "objective.beta2=-1.0: must be 0 or more"),
    (lambda: CEUConfig(ignored_tokens=-1), "objective.ignored_tokens=-1: must be 0 or more"),
    (lambda: PDUConfig(dual_start=-1.0), "objective.dual_start=-1.0: must be 0 or more"),
    (lambda: PDUConfig(dual_step_size=-1.0), "objective.dual_step_size=-1.0: must be 0 or more"),
    (lambda: PDUConfig(dual_warmup_epochs=-1), "objective.dual_warmup_epochs=-1: must be 0 or more"),
    (lambda: PDUConfig(retain_loss_eps=-0.1), "objective.retain_loss_eps=-0.1: must be 0 or more"),
    (lambda: RMUConfig(layer=-1), "objective.layer=-1: must be 0 or more"),
    (lambda: RMUConfig(coefficient=-1.0), "objective.coefficient=-1.0: must be 0 or more"),
    (lambda: RMUConfig(alpha=-1.0), "objective.alpha=-1.0: must be 0 or more"),
    (
        lambda: RMUConfig(reference_top_k=9),
        "objective.reference_top_k=9: must be null: RMU compares hidden states",
    ),
    (
        lambda: GradDiffConfig(renyi_order=1.0),
        "objective.renyi_order=1.0: must be above 0 and not 1, which is kl",
    ),
    (
        lambda: GradDiffConfig(above_ceiling=AboveCeiling.turn),
        "objective.above_ceiling=turn: must be stop without objective.forget_ceiling_nats",
    ),
    (
        lambda: GradDiffConfig(ceiling_unit=CeilingUnit.token),
        "objective.ceiling_unit=token: must be row without objective.forget_ceiling_nats",
    ),
    (lambda: GradDiffConfig(reference_top_k=0), "objective.reference_top_k=0: must be 1 or more, or null"),
    (lambda: GradDiffConfig(divergence_weight=-1.0), "objective.divergence_weight=-1.0: must be 0 or more"),
]


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=[message.split(":")[0] for _, message in REFUSED])
def test_refused(made: Callable[[], object], message: str) -> None:
    """The message is this one, word for word."""
    with pytest.raises(InputError) as caught:
        check_ranges(made(), "objective")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "made",
    [
        WGAConfig(beta=0.0, forget_weight=0.0),
        SatImpConfig(beta1=0.0, beta2=0.0),
        CEUConfig(ignored_tokens=0),
        PDUConfig(dual_start=0.0, dual_step_size=0.0, dual_warmup_epochs=0, retain_loss_eps=0.0),
        RMUConfig(layer=0, coefficient=0.0, alpha=0.0),
        UnDIALConfig(strength=0.0, reference_top_k=2),
    ],
    ids=lambda made: type(made).__name__,
)
def test_the_ends_of_ranges_are_allowed(made: ObjectiveConfig) -> None:
    """Zero is allowed where it has a meaning."""
    check_ranges(made, "objective")
