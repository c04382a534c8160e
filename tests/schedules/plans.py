"""Lengths of rows and the rows of each step, for the tests of several schedules."""

from unlearning.schedules.plan import PlanStep


def rows(count: int) -> list[int]:
    """Return lengths of some rows, where they do not matter."""
    return [10] * count


def steps(plan: list[PlanStep]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the rows that each step trains on."""
    return [(step.forget, step.retain) for step in plan]
