"""Plans of both sets together, worked out by hand; what they share with plans in chunks."""

import pytest

from tests.schedules.plans import rows
from unlearning.errors import InputError
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule


def test_mixed_natural_is_both_sets_once_an_epoch() -> None:
    """All rows come once an epoch, in another order each time."""
    plan = MixedSchedule(epochs=2, batch_rows=4).plan(rows(5), rows(6), None, seed=0)
    for epoch in (0, 1):
        own = [step for step in plan if step.epoch == epoch]
        assert sorted(row for step in own for row in step.forget) == list(range(5))
        assert sorted(row for step in own for row in step.retain) == list(range(6))
        assert [len(step.forget) + len(step.retain) for step in own] == [4, 4, 3]
    orders = [[step.forget for step in plan if step.epoch == epoch] for epoch in (0, 1)]
    assert orders[0] != orders[1]


def test_mixed_with_ratio() -> None:
    """Every step holds r retain rows a forget row, and the retain set is used evenly."""
    plan = MixedSchedule(epochs=3, batch_rows=8).plan(rows(10), rows(12), 3, seed=0)
    assert all(len(step.retain) == 3 * len(step.forget) for step in plan)
    assert [len(step.forget) for step in plan[:5]] == [2] * 5
    counts = [sum(step.retain.count(row) for step in plan) for row in range(12)]
    assert max(counts) - min(counts) <= 1


def test_ratio_zero_has_no_retain_rows() -> None:
    """This is the schedule of gradient ascent."""
    assert all(not step.retain for step in MixedSchedule(1, 4).plan(rows(9), rows(9), 0, seed=0))


@pytest.mark.parametrize("schedule", [MixedSchedule(2, 5), ChunkedSchedule(2, 5, 3)])
def test_plan_is_a_pure_function_of_its_arguments(schedule: MixedSchedule | ChunkedSchedule) -> None:
    """The same arguments give the same plan, another seed another one."""
    assert schedule.plan(rows(7), rows(8), None, 3) == schedule.plan(rows(7), rows(8), None, 3)
    assert schedule.plan(rows(7), rows(8), None, 3) != schedule.plan(rows(7), rows(8), None, 4)


@pytest.mark.parametrize(
    ("schedule", "forget", "retain", "ratio", "words"),
    [
        (MixedSchedule(1, 4), 0, 0, None, "both empty"),
        (MixedSchedule(1, 4), 0, 3, 1, "forget set is empty"),
        (MixedSchedule(1, 4), 3, 0, 1, "retain set is empty"),
        (ChunkedSchedule(1, 4, 2), 0, 3, None, "forget set is empty"),
    ],
)
def test_impossible_plans_are_refused(
    schedule: MixedSchedule | ChunkedSchedule, forget: int, retain: int, ratio: int | None, words: str
) -> None:
    """One line says what is empty."""
    with pytest.raises(InputError, match=words):
        schedule.plan(rows(forget), rows(retain), ratio, 0)
