"""The tables of what was measured besides the score."""

from unlearning.evaluation.metrics import BENCHMARKS
from unlearning.evaluation.result import EvaluationResult, ItemScore
from unlearning.report.score_tables import TITLES, Cell, other_tables


def test_metrics_are_grouped_by_where_they_come_from(models: dict[str, EvaluationResult]) -> None:
    """The arrow stands for the direction; a new key needs no change here; nothing official is repeated."""
    models["unlearned"].metrics |= {"tofu_forget_quality": 3.2e-14, "muse_knowledge_retain": 0.5, "speed": 1.0}
    models["unlearned"].metrics |= {"muse_auc": None}
    tables = {table.title: table.lines for table in other_tables(models)}
    assert list(tables) == ["Memorisation", "TOFU", "MUSE", "Other measurements"]
    assert [line.name for line in tables["Memorisation"]] == [
        "forget extraction strength ↓",
        "forget exact memorisation ↓",
        "retain extraction strength ↑",
        "retain exact memorisation ↑",
    ]
    assert "better" not in tables["Memorisation"][0].meaning
    assert [(line.name, line.cells[1].text) for line in tables["TOFU"]] == [("forget quality ↑", "3.2e-14")]
    assert tables["TOFU"][0].cells[0] == Cell("-")
    assert [(line.name, line.meaning) for line in tables["MUSE"]] == [
        ("knowledge retain ↑", "ROUGE-L F1 of answers on the retain set")
    ]
    assert [(line.name, line.meaning) for line in tables["Other measurements"]] == [("speed", "")]


def test_every_benchmark_has_a_title() -> None:
    """Each benchmark of the evaluation has a title."""
    assert set(TITLES) == set(BENCHMARKS)


def test_tasks_of_the_harness_have_intervals_from_their_standard_errors() -> None:
    """0.5 -+ 1.96 * 0.05 = 0.40 and 0.60; a filter's name comes after a comma, also in the error's name."""
    values = {"acc": 0.5, "acc_stderr": 0.05, "em,strict": 0.25, "em_stderr,strict": 0.1, "bleu": 12.0}
    result = EvaluationResult(items={"harness": [ItemScore("harness", "arc", values)]})
    (table,) = other_tables({"model": result, "other": EvaluationResult()})
    assert table.title == "Tasks of lm-evaluation-harness"
    assert {line.name: line.cells for line in table.lines} == {
        "arc acc": (Cell("0.500", "[0.40, 0.60]"), Cell("-")),
        "arc em,strict": (Cell("0.250", "[0.05, 0.45]"), Cell("-")),
        "arc bleu": (Cell("12.000"), Cell("-")),
    }


def test_nothing_else_is_no_table() -> None:
    """A model without any numbers has no tables."""
    assert other_tables({"model": EvaluationResult()}) == []
