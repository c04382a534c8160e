"""A ceiling that follows unseen text: its rule by hand, its losses row by row, and where forgetting ends."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.training.resumable import CASES, SIZES, STEADY, TRAINER, Case
from tests.training.rows import FORGET, RETAIN, UNSEEN, lengths
from tests.training.test_best import mean, read_checks, row_losses
from unlearning.config.objective_choices import AboveCeiling, CeilingUnit, Reduction
from unlearning.config.stopping import StoppingConfig
from unlearning.objectives.finetune import Finetune
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.relabel import Relabel
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training.fit import fit
from unlearning.training.moving_ceiling import LEAD, moved_ceiling
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import ComparedRows

EACH_STEP = StoppingConfig(check_every_steps=1, check_rows=64, keep_best=False, collapse_nats=None)
TURNING = partial(GradDiff, above_ceiling=AboveCeiling.turn, ceiling_unit=CeilingUnit.token)


@pytest.mark.parametrize(
    ("ceiling", "forget", "unseen", "moved"),
    [
        (4.0, 0.5, 4.5, 5.0),  # far from settled: the ceiling leads by half a nat
        (4.0, 4.25, 4.5, 4.25),  # a quarter above the ceiling: it stands a quarter below unseen rows
        (4.0, 3.75, 4.5, 4.75),  # a quarter below: it stands a quarter above them
        (4.25, 4.5, 4.5, 4.25),  # there: nothing moves any more
        (4.0, 4.0, 3.0, 3.0),  # unseen rows have become likelier
        (4.0, 4.0, 6.0, 5.5),  # other text is lost: never more than half a nat above what it was before
        (1.0, 9.0, 3.0, 0.0),  # never below 0
    ],
)
def test_the_rule_by_hand(ceiling: float, forget: float, unseen: float, moved: float) -> None:
    """c' = max(0, min(U + min(c - F, 1/2), U_0 + 1/2)), where U_0 is 5."""
    assert moved_ceiling(ceiling, forget, unseen, 5.0) == moved


@pytest.mark.parametrize("apart", [0.3, -0.4])
def test_rows_meet_unseen_ones_wherever_they_settle(apart: float) -> None:
    """Forget rows that always settle so far above or below their ceiling are at the unseen rows' loss after a check."""
    ceiling, unseen = 5.4, 4.4
    for _ in range(2):
        ceiling = moved_ceiling(ceiling, ceiling + apart, unseen, 4.6)
        assert ceiling + apart == pytest.approx(unseen)


@pytest.mark.parametrize("name", ["moving ceiling", "without prefixes"])
def test_losses_are_those_of_single_rows(tmp_path: Path, name: str) -> None:
    """Checks run the whole model on compared rows, also where training keeps frozen layers' outputs of its own rows."""
    case = replace(CASES["moving ceiling"], stopping=EACH_STEP)
    if name != "moving ceiling":
        case = replace(case, scope=Case().scope)
    assert case.compared is not None
    before = case.task().model
    model, _ = case.run(tmp_path)
    found, ceiling, start = read_checks(tmp_path), None, None
    for line, checked in ((found[0], before), (found[-1], model)):
        unseen, same = (mean(row_losses(checked, rows)) for rows in (case.compared.unseen, case.compared.alike))
        assert line[4:6] == [pytest.approx(unseen, rel=1e-4), pytest.approx(same, rel=1e-4)]
    for *_, unseen, same, moved in found:
        assert unseen is not None
        assert same is not None
        start = unseen if start is None else start
        ceiling = moved_ceiling(same if ceiling is None else ceiling, same, unseen, start)
        assert moved == pytest.approx(ceiling)


def test_own_answers_are_compared_where_others_are_trained(tmp_path: Path) -> None:
    """Answers in place of the forget rows' own do not enter."""
    case = replace(CASES["moving ceiling"], stopping=EACH_STEP)
    task = case.task(
        objective=Relabel(forget_ceiling_nats=3.0),
        rows=TrainingRows(UNSEEN, (), RETAIN),
        own_answers=TrainingRows(FORGET[: len(UNSEEN)], (), RETAIN),
        plan=MixedSchedule(1, 4).plan(lengths(UNSEEN), SIZES[1], None, 0),
    )
    before = mean(row_losses(task.model, FORGET[:4]))
    fit(task, TRAINER, tmp_path, [])
    assert read_checks(tmp_path)[0][5] == pytest.approx(before, rel=1e-4)


def test_forgetting_ends_where_unseen_text_is(tmp_path: Path) -> None:
    """A model that has memorised both sets forgets one to the loss of rows that it never saw, and no further."""
    both = [*FORGET, *RETAIN]
    plan = MixedSchedule(60, 8).plan([], lengths(both), None, 0)
    learning = Case(plan, partial(Finetune, reduction=Reduction.token), model=STEADY).task(
        rows=TrainingRows((), (), both)
    )
    learnt = tmp_path / "memorised"
    learnt.mkdir()
    fit(learning, TRAINER, learnt, [])
    before = mean(row_losses(learning.model, UNSEEN))
    start = {name: weight.clone() for name, weight in learning.model.state_dict().items()}
    ends = {}
    for name, compared in (("follows", ComparedRows(FORGET, UNSEEN)), ("stays", None)):
        model = STEADY()
        model.load_state_dict(start)
        case = Case(
            MixedSchedule(40, 6).plan(*SIZES, None, 0),
            partial(TURNING, forget_ceiling_nats=2.0),
            stopping=replace(EACH_STEP, check_every_steps=4),
            lr=2e-3,
        )
        (tmp_path / name).mkdir()
        fit(case.task(model=model, compared=compared), TRAINER, tmp_path / name, [])
        ends[name] = [mean(row_losses(model, rows)) for rows in (FORGET, UNSEEN, RETAIN)]
    forgotten, unseen, retained = ends["follows"]
    assert forgotten == pytest.approx(min(unseen, before + LEAD), abs=0.5)
    assert retained < 0.1
    # The same run with its ceiling where it was ends far below: nobody could have known the right one.
    assert ends["stays"][1] - ends["stays"][0] > 5
