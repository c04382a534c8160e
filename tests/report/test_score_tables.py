"""The tables of the evaluation section."""

import pytest

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.membership import ATTACKS, FALSE_POSITIVE_RATES
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.score_tables import (
    ATTACK_NAMES,
    RATES,
    Cell,
    attack_table,
    cell,
    digits,
    final_table,
    lowest_term,
)


def test_every_number_has_its_interval(models: dict[str, EvaluationResult]) -> None:
    """The final score, its parts in order, and the three thirds add up."""
    table = final_table(models, QuestionFormat.cloze)
    lines = {line.name: line for line in table.lines}
    assert [line.name for line in table.lines if "detail" not in line.rank] == [
        "Final score ↑",
        "Task aggregate ↑",
        "Membership score ↑",
        "Utility ↑",
    ]
    metrics, intervals = models["unlearned"].metrics, models["unlearned"].intervals
    low, high = intervals["final"]
    assert lines["Final score ↑"].cells[1] == Cell(f"{metrics['final']:.3f}", f"[{low:.2f}, {high:.2f}]")
    assert "[95% interval]" in table.hint
    assert lines["Utility ↑"].meaning == "right answers to 60 questions, cloze format"
    assert lines["macro average ↑"].meaning == "mean of 5 subjects' shares"
    assert lines["letters format ↑"].meaning == "does not count for the score"
    assert "cloze format ↑" not in lines


def test_a_number_that_is_missing_is_a_dash() -> None:
    """A table without intervals does not mention any."""
    table = final_table({"model": EvaluationResult()}, None)
    assert [(line.rank, line.cells[0].text) for line in table.lines] == [("total", "-"), *[("part", "-")] * 3]
    assert table.hint == ""
    assert attack_table({"model": EvaluationResult()}) is None


def test_lowest_term_is_turned_round_and_named() -> None:
    """A forget score of 0.9 is a term of 0.1, lower than a retain score of 0.2."""
    metrics: dict[str, float | None] = {
        "forget_Task2_regurgitation": 0.9,
        "retain_Task1_knowledge": 0.2,
        "retain_Task3_knowledge": None,
    }
    assert lowest_term(EvaluationResult(metrics)) == Cell("0.100", "forget Task2 R‑L")


def test_attacks_by_measure_then_by_model(models: dict[str, EvaluationResult]) -> None:
    """A line an attack; only the area has an interval, and an attack that no model has is left out."""
    models["unlearned"].metrics["mia_auc_zlib"] = None
    for result in models.values():
        for key in [key for key in result.metrics if key.endswith("_reference")]:
            result.metrics[key] = None
    table = attack_table(models)
    assert table is not None
    assert table.measures == ("AUC, 0.5 is best", "TPR at 1% FPR", "TPR at 0.1% FPR")
    lines = {line.name: line.cells for line in table.lines}
    assert list(lines) == ["loss", "zlib", "Min-K%", "Min-K%++"]
    assert lines["loss"][0] == Cell("0.990", "[0.94, 1.00]")
    assert lines["loss"][1] == Cell("0.580", "[0.53, 0.61]")
    assert lines["loss"][2:] == (Cell("0.020"),) * 4
    assert lines["zlib"][1] == Cell("-")


def test_every_attack_and_rate_has_a_name() -> None:
    """The names are those of the evaluation's attacks and rates."""
    assert set(ATTACK_NAMES) == set(ATTACKS)
    assert list(RATES) == list(FALSE_POSITIVE_RATES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (0.48928, "0.489"),
        (-12.0, "-12.000"),
        (0.0004, "4.0e-04"),
        (3.2e-14, "3.2e-14"),
        (2e6, "2.0e+06"),
    ],
)
def test_digits(value: float, text: str) -> None:
    """A number has as many digits as say something."""
    assert digits(value) == text


def test_an_interval_without_its_metric_is_not_shown() -> None:
    """Without the number its interval is not shown."""
    assert cell(EvaluationResult({"final": None}, {"final": [0.1, 0.2]}), "final") == Cell("-")
