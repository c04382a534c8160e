"""Bootstrap intervals: their draws compared with plain loops, and how often they hold the truth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.tiny import document_of
from unlearning.bootstrap import SEED, draw_indices
from unlearning.evaluation.intervals import (
    DOCUMENTS,
    ROWS,
    accuracy_draws,
    intervals,
    mean_score_draws,
    membership_draws,
)
from unlearning.evaluation.membership import membership_auc, membership_metrics
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import TASKS, DocumentScore, Generation, QuestionScore
from unlearning.evaluation.semeval import final_score, mean_scores, task_aggregate, term_keys
from unlearning.evaluation.summary import accuracy, macro_accuracy

Metrics = dict[str, float | None]


def rows_of(split: str, task: str, number: int, sc: float, qa: Sequence[float]) -> list[Generation]:
    """Return the scores of one document's completion and questions."""
    document = document_of(task, number)
    kinds = [(f"{document}sc1", "sc", sc), *((f"{document}qa{place}", "qa", score) for place, score in enumerate(qa))]
    return [Generation(name, split, task, kind, "", "", "", score) for name, kind, score in kinds]


def answers(source: np.random.Generator, documents: int) -> list[Generation]:
    """Return, for each split and task, the scores of so many documents with one to three questions each."""
    found = []
    for split in ("forget", "retain"):
        for task in TASKS:
            for number in range(documents):
                right = (source.random(source.integers(1, 4)) < 0.3).astype(float)
                found += rows_of(split, task, number + 50 * (split == "retain"), source.random(), right.tolist())
    return found


def losses(members: Sequence[float], others: Sequence[float]) -> list[DocumentScore]:
    """Return documents with these losses; the other attacks' values are made of the loss, each in its own order."""
    return [
        DocumentScore(f"d{place}", place < len(members), loss, np.cos(9 * loss), -loss, loss % 0.3)
        for place, loss in enumerate([*members, *others])
    ]


def questions_of(right: dict[str, list[int]]) -> list[QuestionScore]:
    """Return the scores of the questions of each subject."""
    return [
        QuestionScore(f"{subject}{place}", subject, bool(value))
        for subject, values in right.items()
        for place, value in enumerate(values)
    ]


def metrics_of(
    rows: Sequence[Generation],
    documents: Sequence[DocumentScore],
    reference: Sequence[DocumentScore] | None,
    questions: Sequence[QuestionScore],
) -> Metrics:
    """Return the metrics as the summary computes them."""
    metrics: Metrics = dict.fromkeys(METRICS) | mean_scores(rows) | membership_metrics(documents, reference)
    metrics |= {"utility": accuracy(questions), "utility_macro": macro_accuracy(questions)}
    metrics["task_aggregate"] = task_aggregate(metrics)
    metrics["final"] = final_score(metrics)
    return metrics


def test_equal_scores_have_no_width() -> None:
    """Terms are 1 - 0.25 six times and 0.25 six times: 12 / (6 / 0.75 + 6 / 0.25) = 12 / 32 = 0.375.

    All losses equal: AUC 0.5, score 1. All answers right: utility 1. Final (0.375 + 1 + 1) / 3.
    """
    rows = [
        row
        for split in ("forget", "retain")
        for task in TASKS
        for number in range(4)
        for row in rows_of(split, task, number, 0.25, [0.25, 0.25])
    ]
    documents, questions = losses([0.5] * 3, [0.5] * 4), questions_of({"a": [1, 1], "b": [1]})
    metrics = metrics_of(rows, documents, documents, questions)
    found = intervals(metrics, rows, documents, documents, {"utility": questions}, {})
    assert found["forget_Task2_knowledge"] == found["retain_regurgitation"] == [0.25, 0.25]
    assert found["task_aggregate"] == pytest.approx([0.375] * 2)
    for name in ("mia_auc", "mia_auc_zlib", "mia_auc_min_k", "mia_auc_min_k_plus", "mia_auc_reference"):
        assert found[name] == [0.5, 0.5]
    assert found["mia_score"] == found["utility"] == found["utility_macro"] == [1, 1]
    assert found["final"] == pytest.approx([2.375 / 3] * 2)
    expected = {name for name in metrics if metrics[name] is not None and "_tpr_" not in name}
    assert set(found) == expected
    assert {*term_keys(), "final"} <= expected


def test_documents_apart_by_loss_have_no_width() -> None:
    """In every draw each member is below each non-member."""
    documents = losses([0.1, 0.2, 0.3], [1.0, 2.0])
    found = intervals(membership_metrics(documents, None), [], documents, None, {}, {})
    assert (found["mia_auc"], found["mia_score"]) == ([1, 1], [0, 0])


def naive_draws(
    rows: Sequence[Generation], documents: Sequence[DocumentScore], reference: Sequence[DocumentScore], resamples: int
) -> list[Metrics]:
    """Return the metrics of every draw, written out as lists and scored by the metrics' own functions."""
    generator = np.random.default_rng([SEED, ROWS])
    stems: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        names = stems.setdefault((row.split, row.task), [])
        if row.id[:-3] not in names:
            names.append(row.id[:-3])
    places = {group: draw_indices(generator, len(names), resamples) for group, names in stems.items()}
    generator = np.random.default_rng([SEED, DOCUMENTS])
    split = sum(item.member for item in documents)
    members = draw_indices(generator, split, resamples)
    others = split + draw_indices(generator, len(documents) - split, resamples)
    found = []
    for number in range(resamples):
        drawn_rows = [
            row
            for (part, task), names in stems.items()
            for place in places[part, task][number]
            for row in rows
            if (row.split, row.task, row.id[:-3]) == (part, task, names[place])
        ]
        chosen = [*members[number], *others[number]]
        found.append(
            metrics_of(drawn_rows, [documents[place] for place in chosen], [reference[place] for place in chosen], [])
        )
    return found


def test_draws_are_those_written_out() -> None:
    """All draws and their percentiles are those of the lists written out; some draws have a term of 0."""
    source, resamples = np.random.default_rng(1), 60
    rows = answers(source, 4)
    documents = losses(source.normal(0, 1, 7).round(1).tolist(), source.normal(0.5, 1, 5).round(1).tolist())
    reference = [replace(item, loss_nats=float(source.normal())) for item in documents]
    naive = naive_draws(rows, documents, reference, resamples)
    drawn = mean_score_draws(rows, resamples) | membership_draws(documents, reference, resamples)
    assert {*term_keys(), "task_aggregate", "forget_knowledge", "mia_auc_reference", "mia_auc_zlib"} <= set(drawn)
    for name, values in drawn.items():
        assert values.tolist() == pytest.approx([metrics[name] for metrics in naive], abs=1e-12), name
    assert 0 < np.count_nonzero(drawn["task_aggregate"] == 0) < resamples
    metrics = metrics_of(rows, documents, reference, [])
    found = intervals(metrics, rows, documents, reference, {}, {}, resamples)
    for name in drawn:
        low, high = np.percentile([float(metrics[name] or 0) for metrics in naive], [2.5, 97.5])
        value = metrics[name]
        assert value is not None
        assert found[name] == pytest.approx([min(low, value), max(high, value)], abs=1e-12), name
    assert "final" not in found


def test_final_is_the_mean_of_independent_draws() -> None:
    """The draws are of the task aggregate, of the folded AUC and of the accuracy."""
    source = np.random.default_rng(2)
    rows = answers(source, 9)
    documents = losses(source.normal(0, 1, 20).tolist(), source.normal(1, 1, 20).tolist())
    questions = questions_of({"a": [1, 0, 1, 1], "b": [0, 1] * 6})
    metrics = metrics_of(rows, documents, None, questions)
    found = intervals(metrics, rows, documents, None, {"utility": questions}, {})
    aggregate = mean_score_draws(rows, 2000)["task_aggregate"]
    auc = membership_draws(documents, None, 2000)["mia_auc"]
    utility = accuracy_draws("utility", questions, 2000)["utility"]
    expected = np.percentile((aggregate + 1 - 2 * np.abs(auc - 0.5) + utility) / 3, [2.5, 97.5])
    assert found["final"] == pytest.approx(expected.tolist())
    parts = np.corrcoef([aggregate, auc, utility])
    assert np.abs(parts - np.eye(3)).max() < 0.07


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_a_document_move_together(task: str) -> None:
    """Half of the documents are all right, half all wrong: each draw's mean is a number of documents over their number.

    With five questions a document, rows drawn one by one would give means in steps of 1/50. The draws are those of the
    ten completions, of which each document has one. The ids of Task1 have double quotes.
    """
    rows = [row for n in range(10) for row in rows_of("forget", task, n, float(n % 2), [float(n % 2)] * 5)]
    drawn = mean_score_draws(rows, 500)
    assert drawn[f"forget_{task}_knowledge"].tolist() == drawn["forget_regurgitation"].tolist()
    assert np.unique(drawn["forget_knowledge"] * 10).tolist() == pytest.approx(list(range(1, 10)), abs=1e-9)


def test_draws_without_a_row_do_not_count() -> None:
    """One of two documents has a question, which is right: draws of the other document alone have no mean."""
    rows = [*rows_of("forget", "Task1", 0, 0.5, [1.0]), *rows_of("forget", "Task1", 1, 0.5, [])]
    missing = np.isnan(mean_score_draws(rows, 400)["forget_knowledge"])
    assert missing.mean() == pytest.approx(1 / 4, abs=0.07)
    found = intervals(mean_scores(rows), rows, [], None, {}, {})
    assert found["forget_knowledge"] == [1, 1]
    assert found["forget_regurgitation"] == [0.5, 0.5]
    assert set(found) == {
        f"forget_{task}{measure}" for task in ("", "Task1_") for measure in ("knowledge", "regurgitation")
    }


def test_the_score_can_reach_its_best_value() -> None:
    """If the interval of the AUC holds 0.5, the greatest score is 1, although every draw is below."""
    source = np.random.default_rng(5)
    documents = losses(source.normal(0, 1, 50).tolist(), source.normal(0, 1, 50).tolist())
    metrics = membership_metrics(documents, None)
    found = intervals(metrics, [], documents, None, {}, {})
    low, high = found["mia_auc"]
    assert low < 0.5 < high
    assert found["mia_score"] == pytest.approx([1 - 2 * max(0.5 - low, high - 0.5), 1])


def test_the_score_falls_where_the_auc_rises() -> None:
    """Where both ends of the AUC are above 0.5, the ends of the score are swapped."""
    source = np.random.default_rng(5)
    documents = losses(source.normal(0, 1, 50).tolist(), source.normal(1.5, 1, 50).tolist())
    found = intervals(membership_metrics(documents, None), [], documents, None, {}, {})
    low, high = found["mia_auc"]
    assert 0.5 < low < high
    assert found["mia_score"] == pytest.approx([2 - 2 * high, 2 - 2 * low])


def test_questions_are_drawn_within_subjects() -> None:
    """Subject a is always right, b never, c half: 10 + x of 40 and (1 + 0 + x / 20) / 3 with x ~ Binomial(20, 1/2).

    x has standard deviation sqrt(20) / 2, so accuracy sqrt(20) / 80, and the subjects' mean sqrt(20) / 120.
    """
    questions = questions_of({"a": [1] * 10, "b": [0] * 10, "c": [0, 1] * 10})
    drawn = accuracy_draws("utility", questions, 20000)
    right = drawn["utility"] * 40 - 10
    assert drawn["utility_macro"].tolist() == pytest.approx(((1 + right / 20) / 3).tolist())
    assert right.round(9).tolist() == right.round().tolist()
    assert right.mean() == pytest.approx(10, abs=0.07)
    assert drawn["utility"].std() == pytest.approx(20**0.5 / 80, rel=0.03)
    assert set(accuracy_draws("utility_cloze", questions, 10)) == {"utility_cloze"}


def test_one_format_under_two_names_has_one_interval() -> None:
    """The accuracy of one format has the same interval under both of its names."""
    questions = questions_of({"a": [1, 0, 1, 0], "b": [1, 1, 0]})
    metrics = {"utility": 4 / 7, "utility_cloze": 4 / 7, "utility_letters": None}
    asked = {"utility": questions, "utility_cloze": questions, "utility_letters": []}
    found = intervals(metrics, [], [], None, asked, {})
    assert found["utility"] == found["utility_cloze"]
    assert set(found) == {"utility", "utility_cloze"}


def test_the_same_scores_have_the_same_intervals() -> None:
    """The intervals are the same at every call, and without scores there are none."""
    source = np.random.default_rng(3)
    rows, documents = answers(source, 3), losses(source.random(9).tolist(), source.random(9).tolist())
    questions = questions_of({"a": [1, 0, 1, 0]})
    metrics = metrics_of(rows, documents, None, questions)
    first = intervals(metrics, rows, documents, None, {"utility": questions}, {})
    assert first == intervals(metrics, rows, documents, None, {"utility": questions}, {})
    assert all(low <= float(metrics[name] or 0) <= high for name, (low, high) in first.items())
    assert intervals(dict.fromkeys(METRICS), [], [], None, {"utility": []}, {}) == {}


@pytest.mark.exhaustive
def test_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    """200 sets have 40 documents, whose 5 questions are right together with probability 0.6, and 2 x 40 losses.

    A member's loss is lower by 0.74 of the standard deviation: AUC = Phi(0.7401 / sqrt 2) = 0.6996. Of 200 intervals
    at 95%, 190 hold the truth, give or take 3.1 (a standard deviation), or a few less, as 40 items make them narrow.
    Intervals of rows drawn one by one would be sqrt(5) times too narrow, and hold it 124 times.
    """
    source, hits = np.random.default_rng(4), np.zeros(2)
    for _ in range(200):
        right = (source.random(40) < 0.6).astype(float)
        rows = [row for n in range(40) for row in rows_of("retain", "Task2", n, 0.0, [right[n]] * 5)]
        documents = losses(source.normal(-0.7401, 1, 40).tolist(), source.normal(0, 1, 40).tolist())
        auc = membership_auc(np.array([item.loss_nats for item in documents]), np.arange(80) < 40)
        found = intervals(mean_scores(rows) | {"mia_auc": auc}, rows, documents, None, {}, {}, 400)
        for place, (name, truth) in enumerate([("retain_Task2_knowledge", 0.6), ("mia_auc", 0.6996)]):
            hits[place] += found[name][0] <= truth <= found[name][1]
    assert ((hits >= 180) & (hits <= 198)).all(), hits
