"""The comparison of finished runs: a table in the terminal, one page, and files for other programs."""

from pathlib import Path

from rich.console import Console

from unlearning.config.report import SelectConfig
from unlearning.report.html import write_comparison_of
from unlearning.report.runs import find_runs
from unlearning.report.summary import summarise
from unlearning.report.table import print_comparison


def report_on(runs: Path, out: Path | None, select: SelectConfig | None = None) -> Path:
    """Print the table, write the page, its tables and its pictures; returns the page's path.

    `select` is the rule by which one method is selected; None: the default one. Raises InputError where the folder
    holds no readable run, or where the rule is about no metric.
    """
    found = find_runs(runs)
    summary = summarise(found, select or SelectConfig())
    print_comparison(summary)
    page = write_comparison_of(found, summary, out or runs)
    Console().print(f"report: {page}", highlight=False, soft_wrap=True)
    return page
