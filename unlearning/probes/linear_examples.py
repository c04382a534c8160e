"""The examples of the linear probe: questions, and an attribute of their forgotten answers as the label.

Each document belongs to one fold, with all its examples. Nothing that gives a label away is in two folds.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.data.answer_kinds import by_kind
from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.evaluation.exact_match import normal_form


@dataclass(frozen=True)
class LinearExample:
    """A question, with or without an answer after it, and the label that is to be predicted."""

    row: Row
    answer: str | None
    """The answer after the question; None for the question alone."""
    label: bool
    fold: int
    regression: int
    """The number of the regression that is trained on this example and predicts it."""


def answer_examples(rows: Sequence[Row], folds: int, seed: int) -> list[LinearExample]:
    """Return questions without answers, labelled by the alphabetical half of the answers of their kind.

    There is one regression for each kind. Kinds with fewer than 2 * folds different answers are left out, and so is the
    middle answer of an odd number, so that both labels are equally frequent.
    """
    fold_of = assign_folds(rows, folds, seed)
    kinds = [sorted(distinct_answers(of_kind), key=_answer) for of_kind in by_kind(rows).values()]
    examples = []
    for number, ordered in enumerate(kind for kind in kinds if len(kind) >= 2 * folds):
        half = len(ordered) // 2
        for label, part in ((False, ordered[:half]), (True, ordered[-half:])):
            examples += [LinearExample(row, None, label, fold_of[document_id(row.id)], number) for row in part]
    return examples


def truth_examples(rows: Sequence[Row], folds: int, seed: int) -> list[LinearExample]:
    """Return questions with an answer after them, labelled by whether it is the right one; one regression for all.

    Within a fold the answers of one kind are swapped in a cycle, so that every question and every answer occurs once
    right and once wrong, in one fold only. Rows without another answer of their kind in their fold are left out.
    """
    fold_of = assign_folds(rows, folds, seed)
    rng = random.Random(seed)
    examples = []
    for fold in range(folds):
        for of_kind in by_kind(row for row in rows if fold_of[document_id(row.id)] == fold).values():
            order = distinct_answers(of_kind)
            rng.shuffle(order)
            for row, other in zip(order, order[1:] + order[:1], strict=True):
                if len(order) > 1:
                    examples += [
                        LinearExample(row, row.output, True, fold, 0),
                        LinearExample(row, other.output, False, fold, 0),
                    ]
    return examples


def assign_folds(rows: Sequence[Row], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each document; the sizes of the folds differ by one document at most."""
    documents = list(dict.fromkeys(document_id(row.id) for row in rows))
    drawn = random.Random(seed).sample(documents, len(documents))
    return {document: place % folds for place, document in enumerate(drawn)}


def distinct_answers(rows: Sequence[Row]) -> list[Row]:
    """Return one row for each different answer: two rows with the same answer could get labels that contradict."""
    return list({_answer(row): row for row in rows}.values())


def _answer(row: Row) -> str:
    return normal_form(row.output)
