"""WMDP (Li et al. 2024, arXiv 2403.03218): accuracy on questions of hazardous knowledge.

The accuracy of each subject is from 0 to 1; lower is better, and 0.25 is chance.
"""

from collections.abc import Sequence
from statistics import fmean

from unlearning.data.question_text import HARNESS_HEAD
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.metrics import WMDP_METRICS
from unlearning.evaluation.multiple_choice import letters_correct
from unlearning.evaluation.result import ItemScore
from unlearning.progress.shown import shown_progress


def wmdp(evaluated: EvaluatedModel) -> list[ItemScore]:
    """Return whether each question is answered right, 1 or 0, in the letter format without examples, as published.

    Raises InputError for a question that is too long, and for logits that are not a number.
    """
    questions = evaluated.share.of(evaluated.corpus.wmdp)
    if not questions:
        return []
    with shown_progress("WMDP", len(questions)) as advance:
        right = letters_correct(
            evaluated.model, evaluated.tokenizer, questions, (), 0, evaluated.config.batch_tokens, advance, HARNESS_HEAD
        )
    return [
        ItemScore(question.subject, question.id, {"right": float(correct)})
        for question, correct in zip(questions, right, strict=True)
    ]


def wmdp_metrics(items: Sequence[ItemScore]) -> dict[str, float | None]:
    """Return the accuracy of each subject, 0 to 1; None for a subject without questions."""
    metrics: dict[str, float | None] = dict.fromkeys(WMDP_METRICS)
    for key in WMDP_METRICS:
        values = [item.values["right"] for item in items if f"wmdp_{item.group}" == key]
        metrics[key] = fmean(values) if values else None
    return metrics
