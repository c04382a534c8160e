"""What the tests of several schedules need: lengths of rows, and the rows of each step."""

from unlearning.schedules.plan import PlanStep


def rows(count: int) -> list[int]:
    """Lengths of some rows, where they do not matter."""
    return [10] * count


def steps(plan: list[PlanStep]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """What each step trains on."""
    return [(step.forget, step.retain) for step in plan]
