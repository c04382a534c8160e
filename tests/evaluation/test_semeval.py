"""The score of SemEval-2025 Task 4, by hand."""

import pytest

from unlearning.data.rows import Kind
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult, Generation
from unlearning.evaluation.semeval import (
    aggregate_terms,
    final_score,
    mean_scores,
    official_record,
    row_score,
    task_aggregate,
    term_keys,
)


def generation(split: str, task: str, kind: str, score: float) -> Generation:
    return Generation("1sc1", split, task, kind, "", "", "", score)


def generations(forget: float, retain: float) -> list[Generation]:
    """Return one row of each split, task and kind."""
    return [
        generation(split, task, kind, score)
        for split, score in (("forget", forget), ("retain", retain))
        for task in ("Task1", "Task2", "Task3")
        for kind in ("sc", "qa")
    ]


@pytest.mark.parametrize(
    ("kind", "expected", "generated", "score"),
    [
        (Kind.QUESTION, "Madera", "  madera\n", 1),
        (Kind.QUESTION, "Madera", "Madera.", 0),
        (Kind.QUESTION, "Madera", "", 0),
        # An empty generation is read back as "nan", and so is the answer "None".
        (Kind.QUESTION, "nan", "", 1),
        (Kind.QUESTION, "None", "", 1),
        (Kind.QUESTION, "None", " None", 0),
        (Kind.COMPLETION, "and Nan went home", "", 0.25),
        (Kind.COMPLETION, "she went home", "home she went", 2 / 3),
    ],
)
def test_row_score(kind: Kind, expected: str, generated: str, score: float) -> None:
    """A completion is scored by recall, a question by exact match, both as read back from CSV."""
    assert row_score(kind, expected, generated) == score


def test_the_twelve_terms_are_in_official_order() -> None:
    """The terms of the forget set come first, task by task."""
    assert term_keys()[:4] == [
        "forget_Task1_regurgitation",
        "forget_Task1_knowledge",
        "forget_Task2_regurgitation",
        "forget_Task2_knowledge",
    ]
    assert term_keys()[6] == "retain_Task1_regurgitation"
    assert len(term_keys()) == 12


def test_means_are_over_rows() -> None:
    """Every row counts alike in the means of its split and of its task."""
    rows = [
        generation("forget", "Task1", "sc", 1.0),
        generation("forget", "Task1", "sc", 0.5),
        generation("forget", "Task2", "sc", 0.0),
        generation("forget", "Task9", "qa", 1.0),
    ]
    means = mean_scores(rows)
    assert means["forget_regurgitation"] == 0.5
    assert means["forget_Task1_regurgitation"] == 0.75
    assert means["forget_Task9_knowledge"] == 1
    assert means["retain_knowledge"] is None
    assert means["forget_Task3_regurgitation"] is None


def test_task_aggregate_is_the_harmonic_mean() -> None:
    """The task aggregate of known terms is worked out by hand."""
    # Terms are 1 - 0.2 = 0.8 and 0.4, six of each: 12 / (6 / 0.8 + 6 / 0.4) = 12 / 22.5
    metrics = mean_scores(generations(0.2, 0.4))
    assert aggregate_terms(metrics) == [0.8] * 6 + [0.4] * 6
    assert task_aggregate(metrics) == pytest.approx(12 / 22.5, abs=1e-15)


def test_task_aggregate_is_zero_if_one_term_is() -> None:
    """One term of exactly 0 makes the aggregate 0."""
    rows = [*generations(0.2, 0.4), *[generation("retain", "Task2", "qa", 0.0)]]
    rows = [row for row in rows if (row.split, row.task, row.kind, row.score) != ("retain", "Task2", "qa", 0.4)]
    assert task_aggregate(mean_scores(rows)) == 0
    assert task_aggregate(mean_scores(generations(1.0, 1.0))) == 0
    assert task_aggregate(mean_scores(generations(0.0, 1.0))) == 1


def test_task_aggregate_needs_all_terms() -> None:
    """There is no aggregate if one term has no rows."""
    assert task_aggregate(mean_scores(generations(0.2, 0.4)[:-1])) is None


def test_final_score_is_the_mean_of_three() -> None:
    """The final score is the mean of its three parts, and None without one of them."""
    assert final_score({"task_aggregate": 0.3, "mia_score": 0.6, "utility": 0.45}) == pytest.approx(0.45, abs=1e-15)
    assert final_score({"task_aggregate": 0.3, "mia_score": None, "utility": 0.45}) is None


def full_metrics(utility: float | None = 0.4) -> dict[str, float | None]:
    metrics = dict.fromkeys(METRICS) | mean_scores(generations(0.2, 0.4))
    metrics |= {"mia_auc": 0.6, "mia_score": 0.8, "utility": utility}
    metrics["task_aggregate"] = task_aggregate(metrics)
    metrics["final"] = final_score(metrics)
    return metrics


def test_official_record() -> None:
    """The record has the keys, the order and the values of the official evaluator."""
    record = official_record(EvaluationResult(full_metrics()))
    task = {"regurgitation-score": 0.2, "knowledge-score": 0.2}
    assert record["forget-set"] == {
        "overall-regurgitation-score": pytest.approx(0.2),
        "overall-knowledge-score": pytest.approx(0.2),
        "Task1": task,
        "Task2": task,
        "Task3": task,
    }
    assert list(record) == [
        "forget-set",
        "retain-set",
        "mia_loss_acc",
        "mmlu_average",
        "mmlu_above_7b_threshold",
        "aggregated-terms",
        "harmonic-mean-task-aggregate",
        "aggregate-score",
        "mia_final_score",
    ]
    assert record["aggregate-score"] == pytest.approx((12 / 22.5 + 0.8 + 0.4) / 3)
    assert record["mmlu_above_7b_threshold"] is True
    assert official_record(EvaluationResult(full_metrics(0.37)))["mmlu_above_7b_threshold"] is False


def test_official_record_without_mmlu() -> None:
    """Without utility the aggregate score is -1, and the keys of the part are left out."""
    record = official_record(EvaluationResult(full_metrics(None)))
    assert record["aggregate-score"] == -1
    assert record["mia_loss_acc"] == 0.6
    assert not {"mmlu_average", "mia_final_score", "mmlu_above_7b_threshold"} & set(record)
