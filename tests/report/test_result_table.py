"""The table of one evaluation in the terminal."""

from rich.console import Console

from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.result_table import print_result


def test_every_metric_has_a_line_with_its_interval() -> None:
    """On 80 columns; a metric without a number is a dash, and the reasons come last."""
    result = EvaluationResult(
        {"final": 0.4893, "forget_knowledge": 0.25}, {"final": [0.45, 0.53]}, missing=["utility: no [questions]"]
    )
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_result("[model]", result, console)
    text = console.export_text()
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert set(METRICS) <= set(lines)
    assert lines["final"].split()[1:5] == ["0.489", "[0.45,", "0.53]", "↑"]
    assert lines["forget_knowledge"].split()[1:3] == ["0.250", "↓"]
    assert lines["utility"].split()[1] == "-"
    assert "[model]" in text
    assert text.rstrip().endswith("missing: utility: no [questions]")
