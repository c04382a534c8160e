"""The command unlearn-report: compare finished runs."""

from pathlib import Path

from unlearning.commands.comparison import report_on
from unlearning.config.report import ReportConfig


def run(config: ReportConfig) -> None:
    """Compare the runs in a folder; a table goes to the terminal, a page and files for other programs to the folder.

    Raises InputError where the folder holds no readable run, or where the rule of selection is about no metric.
    """
    report_on(Path(config.runs), Path(config.out) if config.out else None, config.select)
