"""The comparison of finished runs: a table in the terminal and one page."""

from pathlib import Path

from rich.console import Console

from unlearning.report.html import write_comparison_of
from unlearning.report.runs import find_runs
from unlearning.report.table import print_comparison


def report_on(runs: Path, out: Path | None) -> Path:
    """Print the table, write the page and its pictures; returns the page's path.

    Raises InputError where the folder holds no readable run.
    """
    found = find_runs(runs)
    print_comparison(found)
    page = write_comparison_of(found, out or runs)
    Console().print(f"report: {page}", highlight=False, soft_wrap=True)
    return page
