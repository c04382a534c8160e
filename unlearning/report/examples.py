"""A few answers of all models side by side, and which words of the expected text are in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unlearning.evaluation.result import EvaluationResult, Generation
from unlearning.report.marking import Piece, common_words

PER_SPLIT = 6
EXTREMES = 4
"""Rows with the worst scores that are shown besides."""


@dataclass(frozen=True)
class Answer:
    """What one model said."""

    heading: str
    score: float
    pieces: tuple[Piece, ...]
    common: int
    """Words of the longest common subsequence with what was expected."""


@dataclass(frozen=True)
class Example:
    """One row, and what each model that answered it said."""

    task: str
    measure: str
    """What the scores are: ROUGE-L recall or exact match."""
    input: str
    expected: tuple[Piece, ...]
    """Marked is what is in the answer of the model that the page is about."""
    words: int
    """Words of the expected text."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class RowsOfSplit:
    """The answers to some rows of one split."""

    split: str
    """forget, where a marked word should not be there; or retain, where it should."""
    evenly: list[Example]
    worst: list[Example]
    """Those besides that went wrong most."""


def shown_answers(models: Mapping[str, EvaluationResult], main: str) -> list[RowsOfSplit]:
    """Return forget rows, then retain rows, chosen by what the model under `main` generated; no empty split.

    `models` are by the heading over their answers, in that order.
    """
    by_row = {
        heading: {(item.split, item.id): item for item in result.generations} for heading, result in models.items()
    }
    shown = []
    for split in ("forget", "retain"):
        rows = [item for item in models[main].generations if item.split == split]
        evenly = spread(rows, PER_SPLIT)
        faults = {item.id: item.score if split == "forget" else 1 - item.score for item in rows}
        left = [item for item in rows if item not in evenly and faults[item.id] > 0]
        worst = sorted(left, key=lambda item: -faults[item.id])[:EXTREMES]
        if evenly:
            examples = [[_example(item, by_row, main) for item in part] for part in (evenly, worst)]
            shown.append(RowsOfSplit(split, *examples))
    return shown


def spread(rows: Sequence[Generation], count: int) -> list[Generation]:
    """Return at most so many rows, taken in turn from each task and kind and evenly spaced, not hand-picked."""
    kinds: dict[tuple[str, str], list[Generation]] = {}
    for item in rows:
        kinds.setdefault((item.task, item.kind), []).append(item)
    picked = []
    for index, those in enumerate(kinds.values()):
        share = min(count // len(kinds) + (index < count % len(kinds)), len(those))
        picked += [those[(2 * place + 1) * len(those) // (2 * share)] for place in range(share)]
    return picked


def _example(row: Generation, by_row: Mapping[str, Mapping[tuple[str, str], Generation]], main: str) -> Example:
    found = {heading: said for heading, rows in by_row.items() if (said := rows.get((row.split, row.id)))}
    common = {heading: common_words(row.expected, said.generated.strip(), row.own) for heading, said in found.items()}
    answers = tuple(
        Answer(heading, said.score, common[heading].answer, common[heading].length) for heading, said in found.items()
    )
    measure = "exact match" if row.kind == "qa" else "ROUGE-L recall"
    return Example(row.task, measure, row.input, common[main].expected, common[main].words, answers)
