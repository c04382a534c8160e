"""A few answers before and after unlearning, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.evaluation.result import EvaluationResult, Generation

PER_SPLIT = 6


@dataclass(frozen=True)
class Example:
    """One row's answers."""

    task: str
    measure: str
    """What the scores are: ROUGE-L recall or exact match."""
    input: str
    expected: str
    before: str | None
    """The target's answer; None where the target was not evaluated."""
    before_score: float | None
    after: str
    after_score: float


def examples(
    after: EvaluationResult | None, before: EvaluationResult | None, split: str, count: int = PER_SPLIT
) -> list[Example]:
    """At most so many rows of the split, taken in turn from each task and kind and evenly spaced, not hand-picked."""
    if after is None:
        return []
    known = {item.id: item for item in before.generations} if before else {}
    kinds: dict[tuple[str, str], list[Generation]] = {}
    for item in after.generations:
        if item.split == split:
            kinds.setdefault((item.task, item.kind), []).append(item)
    picked = []
    for index, rows in enumerate(kinds.values()):
        share = count // len(kinds) + (index < count % len(kinds))
        picked += _evenly(rows, share)
    return [_example(item, known.get(item.id)) for item in picked]


def _evenly(rows: Sequence[Generation], count: int) -> list[Generation]:
    count = min(count, len(rows))
    return [rows[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count)]


def _example(after: Generation, before: Generation | None) -> Example:
    return Example(
        task=after.task,
        measure="exact match" if after.kind == "qa" else "ROUGE-L",
        input=after.input,
        expected=after.expected,
        before=before.generated if before else None,
        before_score=before.score if before else None,
        after=after.generated,
        after_score=after.score,
    )
