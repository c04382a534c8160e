"""Plans of the forget set in chunks, worked out by hand."""

from tests.schedules.plans import rows, steps
from unlearning.schedules.chunked import ChunkedSchedule


def test_chunked_plan_by_hand() -> None:
    """Five forget rows in chunks of two, ratio 2, seven retain rows: the cycle goes on from chunk to chunk."""
    plan = ChunkedSchedule(epochs=2, batch_rows=3, chunk_rows=2).plan(rows(5), rows(7), 2, seed=0)
    chunk_0 = [((0,), (0, 1)), ((1,), (2, 3))]
    chunk_1 = [((2,), (4, 5)), ((3,), (6, 0))]
    chunk_2 = [((4,), (1, 2))]
    assert steps(plan) == chunk_0 * 2 + chunk_1 * 2 + chunk_2 * 2
    assert [step.phase for step in plan] == [0] * 4 + [1] * 4 + [2] * 2
    assert [step.phase_step for step in plan] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [step.phase_steps for step in plan] == [4] * 8 + [2] * 2
    assert [step.epoch for step in plan] == [0, 0, 1, 1, 0, 0, 1, 1, 0, 1]


def test_chunked_steps_cut_across_groups() -> None:
    """A step of the published size 8 at ratio 7 is exactly one forget row and its seven retain rows."""
    plan = ChunkedSchedule(epochs=1, batch_rows=8, chunk_rows=32).plan(rows(64), rows(100), 7, seed=0)
    assert all(len(step.forget) == 1 and len(step.retain) == 7 for step in plan)
    assert len(plan) == 64


def test_chunk_as_large_as_the_set_is_one_phase() -> None:
    """With one chunk there is one phase, with every forget row once an epoch."""
    plan = ChunkedSchedule(epochs=3, batch_rows=4, chunk_rows=10).plan(rows(10), rows(10), 1, seed=0)
    assert {step.phase for step in plan} == {0}
    assert sorted(row for step in plan for row in step.forget) == sorted(list(range(10)) * 3)


def test_chunked_without_ratio_meets_the_whole_retain_set_in_every_chunk() -> None:
    """Without a ratio every chunk has each retain row once an epoch."""
    plan = ChunkedSchedule(epochs=1, batch_rows=4, chunk_rows=3).plan(rows(6), rows(5), None, seed=1)
    for phase in (0, 1):
        assert sorted(row for step in plan if step.phase == phase for row in step.retain) == list(range(5))
