"""One model's evaluation as a table in the terminal."""

from rich.console import Console
from rich.table import Table

from unlearning.evaluation.result import METRICS, EvaluationResult


def print_result(label: str, result: EvaluationResult, console: Console | None = None) -> None:
    """Every metric with its meaning, then what is missing and why."""
    table = Table(title=label, title_justify="left", header_style="bold")
    for heading, justify in (("metric", "left"), ("value", "right"), ("meaning", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for key, meaning in METRICS.items():
        value = result.metrics.get(key)
        table.add_row(key, "-" if value is None else f"{value:.3f}", meaning)
    console = console or Console()
    console.print(table)
    for reason in result.missing:
        console.print(f"missing: {reason}", style="yellow", highlight=False, markup=False)
