"""AGAD for 20 steps against its plain restatement, in double precision."""

from pathlib import Path

import pytest

from tests.reference.in_double import InDouble
from tests.reference.plain_ails import Agad
from tests.training.golden import LENGTHS, LR, ROWS, STEPS, assert_same_run, scoped, trained
from unlearning.config.objective_choices import Reduction
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.alternating import AlternatingSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.adapters import LoraScope


def draws(plan: list[PlanStep]) -> list[list[int]]:
    """Return the rows of every epoch of every phase, in order."""
    found: dict[tuple[int, int], list[int]] = {}
    for step in plan:
        found.setdefault((step.phase, step.epoch), []).extend([*step.forget, *step.retain])
    return list(found.values())


@pytest.mark.by_default("every-other-1")
@pytest.mark.parametrize("packs_per_forward", [1, 100])
@pytest.mark.parametrize(
    ("chunk", "interleaving", "kinds"), [(3, 0.5, "ffaffa"), (4, 1.0, "fafafa")], ids=["every-other", "every"]
)
def test_alternating(tmp_path: Path, chunk: int, interleaving: float, kinds: str, packs_per_forward: int) -> None:
    """Ascent has one learning rate, annealing twice that; each phase has a new optimiser and a new linear decay."""
    schedule = AlternatingSchedule(
        epochs=2,
        batch_rows=2,
        chunk_rows=chunk,
        interleaving=interleaving,
        annealing_fraction=0.5,
        final_annealing=True,
        annealing_epochs=2,
        annealing_batch_rows=4,
        annealing_lr_factor=2.0,
    )
    with InDouble():
        ours, theirs = scoped(LoraScope(rank=2, alpha=4.0), "olmo")
        plan = schedule.plan(*LENGTHS, None, seed=4)
        trained(tmp_path, ours, GradDiff(reduction=Reduction.token), plan, 16, packs_per_forward)
        reference = Agad(theirs, *ROWS, draws(plan), STEPS)
        losses = reference.train(
            chunk=chunk, interleaving=interleaving, fraction=0.5, ascent=(LR, 2, 2), annealing=(2 * LR, 2, 4)
        )
    assert not reference.draws
    assert len(plan) >= STEPS
    # All phases begin within the steps that are compared.
    assert {step.phase: "f" if step.forget else "a" for step in plan[:STEPS]} == dict(enumerate(kinds))
    assert_same_run(tmp_path, ours, theirs, losses)
