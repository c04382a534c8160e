"""The metrics of a model, computed from the scores of all parts of its evaluation."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from unlearning.config.evaluation import EvaluationConfig, QuestionFormat
from unlearning.data.question_text import LETTERS
from unlearning.data.rows import Corpus
from unlearning.evaluation.answer_score import scorers
from unlearning.evaluation.benchmark_draws import benchmark_draws
from unlearning.evaluation.benchmarks import benchmark_items, benchmark_metrics
from unlearning.evaluation.intervals import intervals
from unlearning.evaluation.membership import membership_metrics
from unlearning.evaluation.memorisation import memorisation_metrics
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult, QuestionScore
from unlearning.evaluation.semeval import final_score, mean_scores, task_aggregate, term_keys


def summarise(
    scores: Mapping[str, Sequence[Any]], corpus: Corpus, config: EvaluationConfig, reference: EvaluationResult | None
) -> EvaluationResult:
    """Return the metrics, their intervals and what is missing, from the scores of each part (see `parts.PARTS`)."""
    generations, membership = list(scores["generations"]), list(scores["membership"])
    cloze, letters = list(scores["cloze"]), list(scores["letters"])
    metrics: dict[str, float | None] = dict.fromkeys(METRICS)
    metrics |= mean_scores(generations)
    metrics |= {"utility_cloze": accuracy(cloze), "utility_letters": accuracy(letters)}
    counted = cloze if config.utility_format is QuestionFormat.cloze else letters
    metrics |= {"utility": accuracy(counted), "utility_macro": macro_accuracy(counted)}
    retrained_documents = None if reference is None else reference.membership
    metrics |= membership_metrics(membership, retrained_documents)
    metrics["task_aggregate"] = task_aggregate(metrics)
    metrics["final"] = final_score(metrics)
    items = benchmark_items(scores)
    metrics |= memorisation_metrics(items.get("memorisation", ()))
    metrics |= benchmark_metrics(items, reference)
    questions = {"utility": counted, "utility_cloze": cloze, "utility_letters": letters}
    return EvaluationResult(
        metrics=metrics,
        intervals=intervals(
            metrics, generations, membership, retrained_documents, questions, benchmark_draws(items, reference)
        ),
        missing=missing_parts(metrics, corpus, config),
        scorers=scorers(item.own for item in generations),
        generations=generations,
        membership=membership,
        cloze=cloze,
        letters=letters,
        items=items,
    )


def accuracy(scores: Sequence[QuestionScore]) -> float | None:
    """Return the share of right answers over all questions (the micro average), 0 to 1; None without questions."""
    return fmean(item.right for item in scores) if scores else None


def macro_accuracy(scores: Sequence[QuestionScore]) -> float | None:
    """Return the mean of the subjects' accuracies (the macro average), 0 to 1; None without questions."""
    subjects: dict[str, list[bool]] = defaultdict(list)
    for item in scores:
        subjects[item.subject].append(item.right)
    return fmean(map(fmean, subjects.values())) if subjects else None


def missing_parts(metrics: Mapping[str, float | None], corpus: Corpus, config: EvaluationConfig) -> list[str]:
    """Return why the final score is missing, a line for each part of it; empty if it is there."""
    missing = []
    absent = [key for key in term_keys() if metrics[key] is None]
    if absent:
        missing.append(f"task_aggregate: no rows for {', '.join(absent)}")
    if metrics["mia_score"] is None:
        absent = [name for name in ("members", "nonmembers") if not getattr(corpus, name)]
        missing.append(f"mia_score: the data has no {' and no '.join(absent)}")
    if metrics["utility"] is None:
        reason = f"not all questions have {len(LETTERS)} options, as format {config.utility_format.value} needs"
        missing.append(f"utility: {reason if corpus.questions else 'the data has no questions'}")
    return missing
