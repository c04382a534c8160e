"""Plans of ascent and annealing in turns, worked out by hand."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.schedule import AlternatingScheduleConfig
from unlearning.errors import InputError
from unlearning.schedules.alternating import AlternatingSchedule
from unlearning.schedules.plan import PlanStep

SCHEDULE = AlternatingSchedule(
    epochs=2,
    batch_rows=2,
    chunk_rows=2,
    interleaving=0.5,
    annealing_fraction=0.5,
    final_annealing=True,
    annealing_epochs=3,
    annealing_batch_rows=2,
    annealing_lr_factor=4.0,
)


def phases(plan: Sequence[PlanStep]) -> list[list[PlanStep]]:
    """Return the steps of each phase."""
    return [[step for step in plan if step.phase == phase] for phase in range(1 + max(step.phase for step in plan))]


def kinds(plan: Sequence[PlanStep]) -> str:
    """Return a letter for each phase: f for forget rows, a for some retain rows, W for the whole retain set of ten."""
    letters = []
    for steps in phases(plan):
        rows = {row for step in steps for row in step.retain}
        assert bool(rows) != any(step.forget for step in steps)
        letters.append("f" if not rows else "W" if len(rows) == 10 else "a")
    return "".join(letters)


def rows(count: int) -> list[int]:
    """Return lengths of some rows, where they do not matter."""
    return [10] * count


def test_plan_by_hand() -> None:
    """Five forget rows are in chunks of two; after two chunks comes annealing on int(5 / 2) = 2 of five retain rows.

    The remainder follows, and then the whole retain set: three epochs of steps of 2, 2 and 1 rows.
    """
    plan = SCHEDULE.plan(rows(5), rows(5), None, seed=0)
    first, second, annealing, remainder, final = phases(plan)
    for steps, chunk in ((first, [0, 1]), (second, [2, 3])):
        assert [sorted(step.forget) for step in steps] == [chunk] * 2
    assert [step.forget for step in remainder] == [(4,)] * 2
    assert [len(step.retain) for step in annealing] == [2] * 3
    assert len({row for step in annealing for row in step.retain}) == 2
    assert [len(step.retain) for step in final] == [2, 2, 1] * 3
    for epoch in range(3):
        assert sorted(row for step in final if step.epoch == epoch for row in step.retain) == [0, 1, 2, 3, 4]
    assert [step.lr_factor for step in plan] == [1.0] * 4 + [4.0] * 3 + [1.0] * 2 + [4.0] * 9
    assert [step.phase_step for step in final] == list(range(9))
    assert [step.phase_steps for step in plan] == [2] * 4 + [3] * 3 + [2] * 2 + [9] * 9
    assert [step.epoch for step in plan] == [0, 1] * 2 + [0, 1, 2] + [0, 1] + [0] * 3 + [1] * 3 + [2] * 3


@pytest.mark.parametrize(
    ("interleaving", "expected"),
    [
        # Six whole chunks and a remainder, which only the final annealing follows.
        (1.0, "fafafafafafafW"),
        (0.5, "ffaffaffafW"),
        (0.4, "fffafffafW"),
        (1 / 3, "fffafffafW"),
        (0.3, "ffffafffW"),
        (0.1, "fffffffW"),
    ],
)
def test_interleaving(interleaving: float, expected: str) -> None:
    """Annealing comes after 1, 2, 2.5, 3, 3.3 and 10 chunks, rounded up."""
    schedule = replace(SCHEDULE, interleaving=interleaving)
    assert kinds(schedule.plan(rows(13), rows(10), None, 0)) == expected


def test_no_remainder_and_no_final_annealing() -> None:
    """The run ends as the last of four whole chunks does."""
    schedule = replace(SCHEDULE, interleaving=1.0, final_annealing=False)
    assert kinds(schedule.plan(rows(8), rows(10), None, 0)) == "fafafafa"
    assert kinds(replace(schedule, interleaving=0.5).plan(rows(7), rows(10), None, 0)) == "ffaff"
    assert kinds(schedule.plan(rows(1), rows(10), None, 0)) == "f"


@pytest.mark.parametrize(("fraction", "drawn"), [(1.0, 10), (0.99, 9), (0.25, 2), (0.01, 1)])
def test_fraction_is_rounded_down_to_at_least_one_row(fraction: float, drawn: int) -> None:
    """Of ten retain rows the same ones are used in all epochs of a phase."""
    plan = replace(SCHEDULE, annealing_fraction=fraction).plan(rows(4), rows(10), None, 0)
    annealing = phases(plan)[2]
    for epoch in range(3):
        own = [row for step in annealing if step.epoch == epoch for row in step.retain]
        assert sorted(own) == sorted({row for step in annealing for row in step.retain})
        assert len(own) == drawn


def test_each_annealing_draws_anew_and_each_epoch_shuffles_anew() -> None:
    """Over 40 phases of 5 rows of 10, and 6 epochs of a chunk of 8 rows, hardly any two are the same."""
    plan = replace(SCHEDULE, interleaving=1.0).plan(rows(80), rows(10), None, 0)
    drawn = {frozenset(row for step in steps for row in step.retain) for steps in phases(plan)[1::2]}
    assert len(drawn) > 20
    assert set().union(*drawn) == set(range(10))
    orders = replace(SCHEDULE, epochs=6, batch_rows=8, chunk_rows=8).plan(rows(8), rows(10), None, 0)
    assert len({step.forget for step in orders if step.phase == 0}) == 6


def test_plan_is_a_pure_function_of_its_arguments() -> None:
    """The same arguments give the same plan."""
    plan = SCHEDULE.plan(rows(5), rows(9), None, 3)
    assert plan == SCHEDULE.plan(rows(5), rows(9), None, 3)
    assert plan != SCHEDULE.plan(rows(5), rows(9), None, 4)


def test_a_budget_counts_in_both_kinds_of_phases() -> None:
    """Forget rows of 4 tokens go three to a step of 12, retain rows of 6 two; both numbers of rows are ignored."""
    schedule = replace(SCHEDULE, chunk_rows=6, batch_tokens=12, epochs=1, annealing_epochs=1)
    plan = schedule.plan([4] * 6, [6] * 5, None, 0)
    assert [(len(step.forget), len(step.retain)) for step in plan] == [(3, 0), (3, 0), (0, 2), (0, 2), (0, 1)]


def test_each_kind_of_phase_has_its_own_parts() -> None:
    """Ascent has three parts of two rows, fewer for the remainder of a chunk; annealing has two parts of two."""
    schedule = replace(SCHEDULE, chunk_rows=9, batch_rows=6, accumulate=3, annealing_batch_rows=4, epochs=1)
    plan = replace(schedule, annealing_accumulate=2, annealing_epochs=1).plan(rows(9), rows(7), None, 0)
    assert [step.parts for step in plan] == [
        ((2, 0), (2, 0), (2, 0)),
        ((2, 0), (1, 0)),
        ((0, 2), (0, 2)),
        ((0, 2), (0, 1)),
    ]


@pytest.mark.parametrize(
    ("forget", "retain", "ratio", "words"),
    [
        (4, 4, 1, "ratio.retain_per_forget=1: schedule=alternating keeps forget and retain rows apart"),
        (4, 4, 0, "ratio.retain_per_forget=0: .*use ratio.retain_per_forget=null"),
        (0, 4, None, "schedule=alternating: the forget set is empty"),
        (4, 0, None, "schedule=alternating: the retain set is empty"),
    ],
)
def test_impossible_plans_are_refused(forget: int, retain: int, ratio: int | None, words: str) -> None:
    """One line says why."""
    with pytest.raises(InputError, match=words):
        SCHEDULE.plan(rows(forget), rows(retain), ratio, 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chunk_rows": 0}, "schedule.chunk_rows=0: must be 1 or more"),
        ({"annealing_epochs": 0}, "schedule.annealing_epochs=0: must be 1 or more"),
        ({"annealing_batch_rows": 0}, "schedule.annealing_batch_rows=0: must be 1 or more"),
        ({"interleaving": 0.0}, "schedule.interleaving=0.0: must be in (0, 1]"),
        ({"interleaving": 1.5}, "schedule.interleaving=1.5: must be in (0, 1]"),
        ({"annealing_fraction": 0.0}, "schedule.annealing_fraction=0.0: must be in (0, 1]"),
        ({"annealing_lr_factor": 0.0}, "schedule.annealing_lr_factor=0.0: must be above 0"),
        ({"annealing_accumulate": 3}, "annealing_accumulate=3: must be a divisor of schedule.annealing_batch_rows=16"),
        ({"annealing_accumulate": 2, "batch_tokens": 64}, "annealing_accumulate=2: must be 1 with schedule.batch_tok"),
        ({"accumulate": 3}, "schedule.accumulate=3: must be a divisor of schedule.batch_rows=32"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], words: str) -> None:
    """One line names the key and what is allowed."""
    with pytest.raises(InputError, match=re.escape(words)):
        check_ranges(AlternatingScheduleConfig(**settings), "schedule")  # type: ignore[arg-type]
