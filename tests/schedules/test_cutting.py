"""How the rows of a plan are cut into steps, by number or by tokens, and a step into parts."""

from collections import Counter

import pytest

from tests.schedules.plans import steps
from unlearning.config.checks import check_ranges
from unlearning.config.schedule import ChunkedScheduleConfig, MixedScheduleConfig
from unlearning.errors import InputError
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep

FORGET, RETAIN = [3, 4, 5], [2, 6, 1, 1]


def parts(plan: list[PlanStep]) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Return epoch, forget rows and retain rows of every part of every step."""
    found = []
    for step in plan:
        forget, retain = list(step.forget), list(step.retain)
        for count, others in step.parts:
            found.append((step.epoch, tuple(forget[:count]), tuple(retain[:others])))
            del forget[:count], retain[:others]
        assert not forget
        assert not retain
    return found


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        # With ratio 2, forget row 0 and its retain rows are 3 + 2 + 6 = 11 tokens, then 4 + 1 + 1 = 6, 5 + 2 + 6 = 13.
        (30, [((0, 1, 2), (0, 1, 2, 3, 0, 1))]),
        (29, [((0, 1), (0, 1, 2, 3)), ((2,), (0, 1))]),
        (17, [((0, 1), (0, 1, 2, 3)), ((2,), (0, 1))]),
        (16, [((0,), (0, 1)), ((1,), (2, 3)), ((2,), (0, 1))]),
        (1, [((0,), (0, 1)), ((1,), (2, 3)), ((2,), (0, 1))]),
    ],
)
def test_a_budget_never_parts_a_forget_row_from_its_retain_rows(
    budget: int, expected: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    """All rows have 30 tokens; a group above the budget is a step by itself, and batch_rows does not count."""
    plan = ChunkedSchedule(epochs=1, batch_rows=1, chunk_rows=3, batch_tokens=budget).plan(FORGET, RETAIN, 2, 0)
    assert steps(plan) == expected


def test_a_budget_ends_with_its_chunk_and_the_cycle_goes_on() -> None:
    """Chunks of two, ratio 1: f0 r0 f1 r1 are 3 + 2 + 4 + 6 = 15 tokens, then f2 r2; room for more is left unused."""
    plan = ChunkedSchedule(epochs=2, batch_rows=1, chunk_rows=2, batch_tokens=100).plan(FORGET, RETAIN, 1, 0)
    assert steps(plan) == [((0, 1), (0, 1))] * 2 + [((2,), (2,))] * 2
    assert [step.phase for step in plan] == [0, 0, 1, 1]


def test_without_a_ratio_a_row_counts_by_itself() -> None:
    """One retain row of 4 tokens after three forget rows of 3: 3 + 3 fit into 7, and so do 3 + 4."""
    plan = ChunkedSchedule(1, 32, chunk_rows=3, batch_tokens=7).plan([3, 3, 3], [4], None, seed=0)
    assert steps(plan) == [((0, 1), ()), ((2,), (0,))]


def test_a_natural_mixture_is_cut_greedily() -> None:
    """With one set alone a plan shows the order of rows, and each row comes once an epoch."""
    lengths = [9, 1, 4, 7, 2, 2, 8, 3, 30, 1, 5]
    plan = MixedSchedule(epochs=3, batch_rows=1, batch_tokens=12).plan([], lengths, None, seed=5)
    for epoch in range(3):
        own = [step.retain for step in plan if step.epoch == epoch]
        assert sorted(row for retain in own for row in retain) == list(range(11))
        totals = [sum(lengths[row] for row in retain) for retain in own]
        assert all(total <= 12 or len(retain) == 1 for total, retain in zip(totals, own, strict=True))
        following = [lengths[retain[0]] for retain in own[1:]]
        assert all(total + first > 12 for total, first in zip(totals, following, strict=False))
        assert len(own) < 11


@pytest.mark.parametrize("schedule", [MixedSchedule(2, 5, batch_tokens=40), ChunkedSchedule(2, 5, 3, batch_tokens=40)])
def test_every_row_counts(schedule: MixedSchedule | ChunkedSchedule) -> None:
    """In a natural mixture each retain row comes once an epoch of its phase, each forget row once an epoch."""
    forget, retain = [7, 12, 19, 3, 8, 22, 5], [11, 2, 17, 9, 30, 4]
    plan = schedule.plan(forget, retain, None, 1)
    phases = 1 + max(step.phase for step in plan)
    assert Counter(row for step in plan for row in step.forget) == dict.fromkeys(range(7), 2)
    assert Counter(row for step in plan for row in step.retain) == dict.fromkeys(range(6), 2 * phases)
    for step in plan:
        total = sum(forget[row] for row in step.forget) + sum(retain[row] for row in step.retain)
        assert total <= 40


def test_a_ratio_deals_retain_rows_evenly_whatever_their_lengths() -> None:
    """Three epochs of ten forget rows with three retain rows each use each of twelve rows 7 or 8 times."""
    plan = MixedSchedule(3, 8, batch_tokens=60).plan(list(range(1, 11)), list(range(3, 15)), 3, seed=0)
    counts = Counter(row for step in plan for row in step.retain)
    assert {counts[row] for row in range(12)} == {7, 8}
    assert all(len(step.retain) == 3 * len(step.forget) for step in plan)


def test_parts_by_hand() -> None:
    """f0 r0 | r1 f1 | r2 r3 are the first step's parts of two rows; f2 r0 | r1 the last step's."""
    plan = ChunkedSchedule(epochs=2, batch_rows=6, chunk_rows=3, accumulate=3).plan(FORGET, RETAIN, 2, 0)
    first, last = ((1, 1), (1, 1), (0, 2)), ((1, 1), (0, 1))
    assert [step.parts for step in plan] == [first, last] * 2
    assert steps(plan) == [((0, 1), (0, 1, 2, 3)), ((2,), (0, 1))] * 2


def test_parts_are_the_steps_of_a_smaller_batch() -> None:
    """Twelve rows in four parts are the same rows, in the same order, as in steps of three rows."""
    forget, retain = [10] * 17, [10] * 20
    plan = MixedSchedule(2, 12, accumulate=4).plan(forget, retain, None, 3)
    smaller = MixedSchedule(2, 3).plan(forget, retain, None, 3)
    assert parts(plan) == [(step.epoch, step.forget, step.retain) for step in smaller]
    # 37 rows: three whole steps, and one row left.
    assert [len(step.parts) for step in plan] == [4, 4, 4, 1] * 2


@pytest.mark.parametrize(
    ("rows", "batch_rows", "accumulate", "an_epoch", "steps_made"),
    [
        # 2,248 rows in batches of 12 are 187 whole ones and one of 4: 18 steps of ten batches, and one of eight.
        (2248, 120, 10, 19, 144),
        # The last batch of 2,400 - 4 rows is smaller, but it is the tenth: all steps are whole.
        (2396, 120, 10, 20, 160),
        # An epoch of less than one whole step counts as one.
        (50, 120, 10, 1, 8),
        # Without accumulation the Trainer counts every step.
        (50, 12, 1, 5, 40),
    ],
)
def test_floored_steps_are_those_of_the_trainer(
    rows: int, batch_rows: int, accumulate: int, an_epoch: int, steps_made: int
) -> None:
    """Eight epochs are as many steps as Transformers computes: epochs * max(batches // accumulate, 1)."""
    plans = [
        MixedSchedule(8, batch_rows, None, accumulate, floor).plan([], [10] * rows, None, 0) for floor in (False, True)
    ]
    batches = -(-rows // (batch_rows // accumulate))
    assert steps_made == 8 * max(batches // accumulate, 1)
    assert [len(plan) for plan in plans] == [8 * an_epoch, steps_made]
    assert steps(plans[1]) == steps(plans[0])[:steps_made]
    assert {step.phase_steps for step in plans[1]} == {steps_made}


def test_floored_steps_of_every_phase() -> None:
    """Chunks of 5, 5 and 1 rows in parts of two, two a step: 2, 2 and 1 steps an epoch, of which one counts."""
    plan = ChunkedSchedule(3, 4, 5, accumulate=2, floor_steps=True).plan([10] * 11, [], 0, 0)
    assert [(step.phase, step.epoch, step.ends_epoch) for step in plan[:3]] == [
        (0, 0, False),
        (0, 0, True),
        (0, 1, False),
    ]
    assert [sum(step.phase == phase for step in plan) for phase in range(3)] == [3, 3, 3]


def test_parts_change_no_row_of_any_step() -> None:
    """With a ratio: f r r | f r r are a step's two parts."""
    plan = MixedSchedule(1, 6, accumulate=2).plan([10] * 4, [10] * 9, 2, 3)
    assert [step.parts for step in plan] == [((1, 2), (1, 2))] * 2
    assert steps(plan) == steps(MixedSchedule(1, 6).plan([10] * 4, [10] * 9, 2, 3))


@pytest.mark.parametrize("schedule", [MixedSchedule(2, 4), ChunkedSchedule(2, 4, 3), MixedSchedule(2, 4, 25)])
def test_one_part_needs_no_name(schedule: MixedSchedule | ChunkedSchedule) -> None:
    """A step of one part has an empty list of parts, and the optimiser's learning rate."""
    plan = schedule.plan([10] * 5, [10] * 6, 1, 0)
    assert {(step.parts, step.lr_factor) for step in plan} == {((), 1.0)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_rows": 0}, "schedule.batch_rows=0: must be 1 or more"),
        ({"batch_tokens": 0}, "schedule.batch_tokens=0: must be 1 or more, or null"),
        ({"accumulate": 0}, "schedule.accumulate=0: must be 1 or more"),
        ({"batch_rows": 120, "accumulate": 7}, "schedule.accumulate=7: must be a divisor of schedule.batch_rows=120"),
        ({"batch_tokens": 99, "accumulate": 2}, "schedule.accumulate=2: must be 1 with schedule.batch_tokens=99"),
    ],
)
@pytest.mark.parametrize("kind", [MixedScheduleConfig, ChunkedScheduleConfig])
def test_impossible_sizes_are_refused(
    kind: type[MixedScheduleConfig] | type[ChunkedScheduleConfig], settings: dict[str, int], words: str
) -> None:
    """One line names the key and what is allowed."""
    with pytest.raises(InputError, match=words):
        check_ranges(kind(**settings), "schedule")


def test_possible_sizes_are_accepted() -> None:
    """SHA256's 120 rows in ten parts; a token budget with whatever batch_rows says."""
    for config in (
        MixedScheduleConfig(batch_rows=120, accumulate=10),
        ChunkedScheduleConfig(batch_rows=1, batch_tokens=4096),
    ):
        check_ranges(config, "schedule")
