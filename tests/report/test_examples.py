"""Which answers are shown, and in which order."""

from unlearning.evaluation.result import EvaluationResult, Generation
from unlearning.report.examples import shown_answers, spread


def _generation(number: int, task: str, kind: str, split: str = "forget", score: float = 0.5) -> Generation:
    return Generation(f"{task}{kind}{number}", split, task, kind, "in", "the answer", f" answer {number}", score)


def test_rows_come_from_every_task_and_kind_evenly() -> None:
    """Five of four kinds with 9 rows each: two of the first, in the middle of its halves; of the others the middle."""
    rows = [_generation(n, task, kind) for task in ("Task1", "Task2") for kind in ("sc", "qa") for n in range(9)]
    picked = spread(rows, 5)
    assert [(row.task, row.kind) for row in picked] == [
        ("Task1", "sc"),
        ("Task1", "sc"),
        ("Task1", "qa"),
        ("Task2", "sc"),
        ("Task2", "qa"),
    ]
    assert [row.generated for row in picked[:3]] == [" answer 2", " answer 6", " answer 4"]
    assert spread(rows[:2], 6) == rows[:2]
    assert spread([], 6) == []


def test_models_stand_side_by_side_where_they_answered() -> None:
    """Marked in the expected text is what the model of the page said: one of its two words."""
    after = EvaluationResult(generations=[_generation(0, "Task1", "sc"), _generation(1, "Task1", "qa")])
    before = EvaluationResult(generations=[_generation(1, "Task1", "qa", score=1.0)])
    (forget,) = shown_answers({"Before": before, "After": after}, "After")
    assert forget.split == "forget"
    completion, question = forget.evenly
    assert [answer.heading for answer in completion.answers] == ["After"]
    assert [(answer.heading, answer.score) for answer in question.answers] == [("Before", 1.0), ("After", 0.5)]
    assert [(piece.text, piece.marked) for piece in completion.expected] == [("the ", False), ("answer", True)]
    assert (completion.answers[0].common, completion.words) == (1, 2)
    assert completion.answers[0].pieces[0].text == "answer"
    assert (completion.measure, question.measure) == ("ROUGE-L recall", "exact match")


def test_worst_rows_are_those_not_shown_yet() -> None:
    """Of forget rows those that come back most, of retain rows those that are lost most; none that went well."""
    scores = [n / 20 for n in range(20)]
    rows = [
        _generation(n, "Task1", "sc", split, score)
        for split in ("forget", "retain")
        for n, score in enumerate(scores if split == "forget" else [1 - score for score in scores])
    ]
    forget, retain = shown_answers({"After": EvaluationResult(generations=rows)}, "After")
    shown = {example.answers[0].score for example in forget.evenly}
    assert [example.answers[0].score for example in forget.worst] == [
        score for score in reversed(scores) if score not in shown
    ][:4]
    worst = [example.answers[0].score for example in retain.worst]
    assert worst == sorted(worst)
    assert worst[0] == 1 - scores[19]
    good = [_generation(n, "Task1", "sc", "forget", 0.0) for n in range(20)]
    assert shown_answers({"After": EvaluationResult(generations=good)}, "After")[0].worst == []
    assert shown_answers({"After": EvaluationResult()}, "After") == []
