"""One model's evaluation as a table in the terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.score_tables import cell, harness_result


def print_result(label: str, result: EvaluationResult, console: Console | None = None) -> None:
    """Print every metric with its 95% interval and its meaning, the harness's tasks, then what is missing and why."""
    table = Table(title=escape(label), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95% interval", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("meaning")
    for key, about in METRICS.items():
        found = cell(result, key)
        table.add_row(key, found.text, escape(found.note), about.arrow, escape(about.meaning))
    tasks = harness_result(result)
    for key in tasks.metrics:
        found = cell(tasks, key)
        table.add_row(escape(key), found.text, escape(found.note), "", "of lm-evaluation-harness")
    console = console or Console()
    console.print(table)
    for reason in result.missing:
        console.print(f"missing: {reason}", style="yellow", highlight=False, markup=False)
