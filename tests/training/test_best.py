"""Which check is the best, what it has measured, and that its weights are the result."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.training.resumable import CASES, TRAINER, Case, refusals, same_weights
from tests.training.rows import FORGET, RETAIN
from unlearning.config.objective_choices import Answers
from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.data.encoding import EncodedRow
from unlearning.errors import InputError
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.relabel import Relabel
from unlearning.training.best_weights import restore_best, save_best
from unlearning.training.checker import evenly_spread, rows_to_check
from unlearning.training.fit import fit
from unlearning.training.step_data import TrainingRows
from unlearning.training.stopping_rules import Check, best_check

EVERY_STEP = StoppingConfig(check_every_steps=1, check_rows=5, keep_best=False, collapse_nats=None)
CHECKED_ROWS = ((0, 2, 4, 6, 8), (0, 2, 5, 7, 10))
"""Five of 10 forget rows and of 13 retain rows: i * 10 // 5 and i * 13 // 5."""


def checks(*losses: tuple[float, float]) -> list[Check]:
    """Return checks with these forget and retain losses after 0, 10, 20, ... steps; the loss is retain minus forget."""
    return [Check(10 * index, forget, retain, retain - forget) for index, (forget, retain) in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        (((1.0, 1.0), (3.0, 1.05), (5.0, 1.2), (4.0, 1.1)), 30),
        (((1.0, 1.0), (9.0, 2.0), (5.0, 1.5), (7.0, 1.8)), 20),
        (((1.0, 1.0), (3.0, 0.5), (3.0, 0.4), (2.0, 0.3)), 10),
        (((9.0, 1.0), (2.0, 1.0)), 10),
        (((1.0, 1.0), (2.0, 1.1), (float("inf"), 1.0), (9.0, float("nan"))), 10),
        (((1.0, 1.0), (2.0, 6.5), (9.0, 7.0)), None),
        (((1.0, 1.0),), None),
    ],
    ids=["constraint", "none keeps it", "earliest of equals", "not the start", "not a number", "collapsed", "start"],
)
def test_constrained(losses: Sequence[tuple[float, float]], best: int | None) -> None:
    """The best check forgets most among those at most 0.125 above the retain loss of 1.0 before training.

    constraint: 5.0 forgets most but has 0.2; of 3.0 (0.05) and 4.0 (0.1) the latter. none keeps it: 1.0, 0.5 and 0.8
    are all too much; 0.5 is the least.
    """
    found = best_check(checks(*losses), StoppingConfig(max_retain_rise_nats=0.125, collapse_nats=5.0))
    assert (found.step if found else None) == best


def test_by_the_objectives_loss() -> None:
    """The losses are retain minus forget, -1.95, -3.8 and -2.9; the constraint does not matter."""
    found = best_check(
        checks((1.0, 1.0), (3.0, 1.05), (5.0, 1.2), (4.0, 1.1)), StoppingConfig(best_by=BestBy.objective)
    )
    assert found is not None
    assert found.step == 20


def test_without_retain_rows_the_constraint_is_kept() -> None:
    """Without retain rows all checks keep the constraint; without forget rows the earliest one is the best."""
    config = StoppingConfig()
    found = best_check([Check(step, float(step), None, None) for step in (0, 1, 2)], config)
    assert found == Check(2, 2.0, None, None)
    found = best_check([Check(step, None, 1.0, None) for step in (0, 1, 2)], config)
    assert found == Check(1, None, 1.0, None)


def test_rows_are_spread_evenly() -> None:
    """The rows are i * 7 // 3 for i = 0, 1, 2; all of a set that has no more; none of an empty one."""
    assert evenly_spread(7, 3) == (0, 2, 4)
    assert evenly_spread(3, 7) == (0, 1, 2)
    assert evenly_spread(0, 3) == ()
    step = rows_to_check(10, 13, EVERY_STEP)
    assert (step.forget, step.retain) == CHECKED_ROWS
    assert step.parts == ()


def test_one_part_has_the_last_forget_row_and_the_first_retain_row() -> None:
    """Five rows of each set in parts of two are five parts."""
    step = rows_to_check(10, 13, replace(EVERY_STEP, check_part_rows=2))
    assert step.parts == ((2, 0), (2, 0), (1, 1), (0, 2), (0, 2))


def row_losses(model: nn.Module, rows: Sequence[EncodedRow]) -> list[float]:
    """Return the loss of each row by itself, in evaluation mode."""
    model.eval()
    losses = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor(row.input_ids)
            logits = model(input_ids=ids[None]).logits[0, row.supervised_from - 1 : -1]
            losses.append(float(functional.cross_entropy(logits, ids[row.supervised_from :])))
    return losses


def checked_losses(model: nn.Module, forget: Sequence[EncodedRow] = FORGET) -> tuple[list[float], list[float]]:
    """Return naive losses of the rows that a check uses."""
    chosen = [forget[row] for row in CHECKED_ROWS[0]], [RETAIN[row] for row in CHECKED_ROWS[1]]
    return row_losses(model, chosen[0]), row_losses(model, chosen[1])


def read_checks(folder: Path) -> list[list[float | None]]:
    """Return the lines of checks.csv."""
    lines = (folder / "checks.csv").read_text().splitlines()
    assert lines[0] == ("step,forget_loss_nats,retain_loss_nats,loss,unseen_loss_nats,alike_loss_nats,ceiling_nats")
    return [[float(value) if value else None for value in line.split(",")] for line in lines[1:]]


def mean(values: Sequence[float]) -> float:
    """Return the mean of some numbers."""
    return sum(values) / len(values)


@pytest.mark.by_default("LoRA dropout")
@pytest.mark.parametrize("name", ["mixed", "prefix", "a layer's output", "two answers", "LoRA dropout"])
def test_losses_are_those_of_single_rows(tmp_path: Path, name: str) -> None:
    """Checks before and after training give cross-entropies without dropout, also where the objective has a layer."""
    case = replace(CASES[name], stopping=EVERY_STEP)
    before = checked_losses(case.task().model)
    model, _ = case.run(tmp_path)
    found = read_checks(tmp_path)
    assert [line[0] for line in found] == list(range(len(case.plan) + 1))
    for line, (forget, retain) in ((found[0], before), (found[-1], checked_losses(model))):
        assert line[1:3] == [pytest.approx(mean(forget), rel=1e-4), pytest.approx(mean(retain), rel=1e-4)]
        assert line[3:] == [None] * 4


def test_the_forget_loss_is_of_the_rows_own_answers(tmp_path: Path) -> None:
    """The forget loss is that of the rows' own answers, though the objective trains refusals, whose loss falls."""
    task = Case(stopping=EVERY_STEP).task(
        objective=Relabel(answers=Answers.refusal),
        rows=TrainingRows(refusals(), (), RETAIN),
        own_answers=TrainingRows(FORGET, (), RETAIN),
    )
    before = checked_losses(task.model)
    fit(task, TRAINER, tmp_path, [])
    found = read_checks(tmp_path)
    assert found[0][1] == pytest.approx(mean(before[0]), rel=1e-4)
    assert found[-1][1] == pytest.approx(mean(checked_losses(task.model)[0]), rel=1e-4)


def test_the_objectives_loss_is_the_mean_over_parts_by_rows(tmp_path: Path) -> None:
    """Five rows of each set in parts of four: -CE of 4 rows, -CE of 1 and 0.5 CE of 3 in one part, 0.5 CE of 2."""
    stopping = replace(EVERY_STEP, best_by=BestBy.objective, check_part_rows=4)
    case = Case(objective=partial(GradDiff, retain_weight=0.5), stopping=stopping)
    model, _ = case.run(tmp_path)
    forget, retain = checked_losses(model)
    parts = -mean(forget[:4]), -forget[4] + 0.5 * mean(retain[:3]), 0.5 * mean(retain[3:])
    expected = (4 * parts[0] + 4 * parts[1] + 2 * parts[2]) / 10
    assert read_checks(tmp_path)[-1][3] == pytest.approx(expected, rel=1e-4)


def test_an_adaptive_weight_is_that_of_the_check(tmp_path: Path) -> None:
    """In the first epoch alpha is 1.2, so the loss is -CE_forget + 1.2 CE_retain."""
    case = Case(objective=AdaptiveGradDiff, stopping=replace(EVERY_STEP, best_by=BestBy.objective))
    forget, retain = checked_losses(case.task().model)
    case.run(tmp_path)
    assert read_checks(tmp_path)[0][3] == pytest.approx(-mean(forget) + 1.2 * mean(retain), rel=1e-4)


def test_observed_checks_enter_the_reference(tmp_path: Path) -> None:
    """The plan's first epoch is steps 0 to 2 with all 13 retain rows, so that checks after 1 and 2 steps are in it.

    Each tells of five retain rows in three parts: 3 + 2 * 3 losses, 13 + 2 * 5 rows.
    """
    task = CASES["observed checks"].task()
    assert [step.epoch for step in task.plan[:4]] == [0, 0, 0, 1]
    fit(task, TRAINER, tmp_path, [])
    state = task.objective.state()
    assert (state["steps"], state["rows"]) == (9.0, 23.0)


@pytest.mark.by_default("LoRA dropout")
@pytest.mark.parametrize("name", ["mixed", "prefix", "two answers", "LoRA dropout", "dual variable"])
def test_checks_change_nothing(tmp_path: Path, name: str) -> None:
    """Checks change neither weights nor curve, to the last bit, dropout's random numbers included."""
    plain, _ = CASES[name].run(tmp_path / "plain")
    stopping = replace(EVERY_STEP, best_by=BestBy.objective)
    watched, record = replace(CASES[name], stopping=stopping).run(tmp_path / "watched")
    assert same_weights(watched, plain)
    curves = [(tmp_path / folder / "loss_curve.csv").read_text() for folder in ("plain", "watched")]
    assert curves[0] == curves[1]
    assert record.stopped is None


def test_the_best_weights_are_the_result(tmp_path: Path) -> None:
    """The result is the weights of a run that ends at the best step; the file in which they were kept is gone."""
    case = CASES["best state"]
    found, record = case.run(tmp_path / "whole")
    assert record.best_step == 2
    assert record.steps == len(case.plan)
    expected, _ = replace(case, stopping=StoppingConfig()).run(tmp_path / "cut", replace(TRAINER, max_steps=2))
    assert same_weights(found, expected)
    assert not (tmp_path / "whole" / "best.safetensors").exists()


def test_the_last_step_is_checked(tmp_path: Path) -> None:
    """Nine steps with a check every five are checked after 0, 5 and 9; without the last one after 0 and 5."""
    case = CASES["best state"]
    assert len(case.plan) == 9
    for check_last_step, expected in ((True, [0, 5, 9]), (False, [0, 5])):
        stopping = replace(case.stopping, check_every_steps=5, check_last_step=check_last_step)
        _, record = replace(case, stopping=stopping).run(tmp_path / str(check_last_step))
        assert [line[0] for line in read_checks(tmp_path / str(check_last_step))] == expected
        assert record.best_step in expected[1:]


def test_a_run_that_ends_within_its_first_epoch_is_still_in_it(tmp_path: Path) -> None:
    """The last check, after two of an epoch's three steps, tells of its five retain rows in three parts too."""
    task = CASES["observed checks"].task()
    fit(task, replace(TRAINER, max_steps=2), tmp_path, [])
    assert [line[0] for line in read_checks(tmp_path)] == [0, 1, 2]
    state = task.objective.state()
    assert state["steps"] == 2 + 2 * 3
    assert state["rows"] == sum(len(step.retain) for step in task.plan[:2]) + 2 * 5


def test_best_weights_go_back_to_their_run(tmp_path: Path) -> None:
    """The best weights come back with their check, and to the same run only."""
    case = CASES["prefix"]
    first, second = case.task().model, case.task().model
    moving = [weight for weight in second.parameters() if weight.requires_grad]
    check = Check(3, 1 / 3, 0.1, None)
    save_best(tmp_path / "best.safetensors", first, check, "this")
    with torch.no_grad():
        for weight in moving:
            weight.zero_()
    with pytest.raises(InputError, match="another run's"):
        restore_best(tmp_path / "best.safetensors", second, "that")
    assert restore_best(tmp_path / "best.safetensors", second, "this") == check
    assert same_weights(first, second)
    assert (tmp_path / "best.safetensors").stat().st_size < 4.5 * sum(weight.numel() for weight in moving)
