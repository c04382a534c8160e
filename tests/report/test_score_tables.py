"""The tables of the evaluation section."""

import pytest

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.membership import ATTACKS, FALSE_POSITIVE_RATES
from unlearning.evaluation.metrics import ATTACK_RATES, ATTACK_SIGNS
from unlearning.evaluation.result import EvaluationResult, ItemScore
from unlearning.report.score_tables import attack_lines, cell, digits, final_lines, lowest_term, other_lines


def test_every_number_has_its_interval(models: dict[str, EvaluationResult]) -> None:
    """The final score, its three parts and what each comes from, in order; the counted format is utility itself."""
    found = final_lines(models, QuestionFormat.cloze)
    lines = {line.name: line for line in found}
    assert [line.name for line in found if "detail" not in line.rank] == [
        "Final score ↑",
        "Task aggregate ↑",
        "Membership score ↑",
        "Utility ↑",
    ]
    metrics, intervals = models["unlearned"].metrics, models["unlearned"].intervals
    low, high = intervals["final"]
    assert lines["Final score ↑"].cells[1] == (f"{metrics['final']:.3f}", f"[{low:.2f}, {high:.2f}]")
    assert lines["Membership AUC"].meaning.endswith("0.5 is best")
    assert "Utility letters ↑" in lines
    assert "Utility cloze ↑" not in lines


def test_a_number_that_is_missing_is_a_dash() -> None:
    """Details and attacks that no model has are left out."""
    nothing = {"model": EvaluationResult()}
    lines = final_lines(nothing, None)
    assert [(line.rank, line.cells) for line in lines] == [("total", [("-", "")]), *[("part", [("-", "")])] * 3]
    assert attack_lines(nothing) == []
    assert other_lines(nothing) == {}


def test_lowest_term_is_turned_round_and_named() -> None:
    """A forget score of 0.9 is a term of 0.1, lower than a retain score of 0.2."""
    metrics: dict[str, float | None] = {
        "forget_Task2_regurgitation": 0.9,
        "retain_Task1_knowledge": 0.2,
        "retain_Task3_knowledge": None,
    }
    assert lowest_term(EvaluationResult(metrics)) == ("0.100", "forget Task2 regurgitation")


def test_attacks_by_measure_then_by_model(models: dict[str, EvaluationResult]) -> None:
    """A line an attack; only the area has an interval, and an attack that no model has is left out."""
    models["unlearned"].metrics["mia_auc_zlib"] = None
    for result in models.values():
        for key in [key for key in result.metrics if key.endswith("_reference")]:
            result.metrics[key] = None
    lines = {line.name: line.cells for line in attack_lines(models)}
    assert list(lines) == ["loss", "zlib", "min k", "min k plus"]
    assert lines["loss"] == [("0.990", "[0.94, 1.00]"), ("0.580", "[0.53, 0.61]"), *[("0.020", "")] * 4]
    assert lines["zlib"][1] == ("-", "")


def test_every_attack_and_rate_has_a_name() -> None:
    """The names are those of the evaluation's attacks and rates."""
    assert set(ATTACK_SIGNS) == set(ATTACKS)
    assert list(ATTACK_RATES) == list(FALSE_POSITIVE_RATES)


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
    assert cell(EvaluationResult({"final": None}, {"final": [0.1, 0.2]}), "final") == ("-", "")


def test_metrics_are_grouped_by_where_they_come_from(models: dict[str, EvaluationResult]) -> None:
    """The arrow stands for the direction; a new key needs no change here; nothing official is repeated."""
    models["unlearned"].metrics |= {"tofu_forget_quality": 3.2e-14, "muse_knowledge_retain": 0.5, "speed": 1.0}
    models["unlearned"].metrics |= {"muse_auc": None}
    tables = other_lines(models)
    assert list(tables) == ["Memorisation", "TOFU", "MUSE", "Other measurements"]
    assert [line.name for line in tables["Memorisation"]] == [
        "Forget extraction strength ↓",
        "Forget exact memorisation ↓",
        "Retain extraction strength ↑",
        "Retain exact memorisation ↑",
    ]
    assert "better" not in tables["Memorisation"][0].meaning
    assert [(line.name, line.cells) for line in tables["TOFU"]] == [("Forget quality ↑", [("-", ""), ("3.2e-14", "")])]
    assert [(line.name, line.meaning) for line in tables["MUSE"]] == [
        ("Knowledge retain ↑", "ROUGE-L F1 of answers on the retain set")
    ]
    assert [(line.name, line.meaning) for line in tables["Other measurements"]] == [("Speed", "")]


def test_tasks_of_the_harness_have_a_table() -> None:
    """With the intervals that their standard errors make."""
    values = {"acc": 0.5, "acc_stderr": 0.05}
    result = EvaluationResult(items={"harness": [ItemScore("harness", "arc", values)]})
    ((title, lines),) = other_lines({"model": result, "other": EvaluationResult()}).items()
    assert title == "Tasks of lm-evaluation-harness"
    assert [(line.name, line.cells) for line in lines] == [("arc acc", [("0.500", "[0.40, 0.60]"), ("-", "")])]
