"""What a linear probe is to tell: an attribute of the answer that the model was made to forget.

Documents are dealt to folds, and every example belongs to one; nothing that gives a label away is in two of them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.evaluation.exact_match import normal_form
from unlearning.probes.answer_kinds import by_kind


@dataclass(frozen=True)
class LinearExample:
    """A question, maybe with an answer behind it, and what is to be told of it."""

    row: Row
    answer: str | None
    """Shown after the question; None: the question alone."""
    label: bool
    fold: int
    regression: int
    """Examples of one number are learnt and told together."""


def answer_examples(rows: Sequence[Row], folds: int, seed: int) -> list[LinearExample]:
    """Questions alone; told is in which half of the answers of its kind, in alphabetical order, the answer stands.

    A regression for each kind. Kinds of fewer than 2 * folds different answers are left out, and so is the middle one
    of an odd number, so that both labels are equally frequent.
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
    """Questions with an answer behind them; told is whether it is the right one. One regression for all.

    In each fold the answers of one kind change places in a cycle, so that every question and every answer occurs once
    right and once wrong, and in one fold only. Rows without another answer of their kind in their fold are left out.
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
    """The fold of each document, all folds of equal size but for one document."""
    documents = list(dict.fromkeys(document_id(row.id) for row in rows))
    drawn = random.Random(seed).sample(documents, len(documents))
    return {document: place % folds for place, document in enumerate(drawn)}


def distinct_answers(rows: Sequence[Row]) -> list[Row]:
    """One row for each answer: swapped, or on either side of the middle, equal ones would contradict each other."""
    return list({_answer(row): row for row in rows}.values())


def _answer(row: Row) -> str:
    return normal_form(row.output)
