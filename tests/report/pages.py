"""The five kinds of pages, made up: of a run, a comparison, an evaluation, probes and a trace."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.empty_figures import empty_figures
from tests.report.fabricated import write_evaluated, write_run
from tests.report.fabricated_sweep import RATES, add_troubles, change_config, write_job
from tests.report.fabricated_trace import trace_result, write_trace_run
from tests.report.test_probe_figures import LINES
from unlearning.commands.comparison import report_on
from unlearning.probes.table import table_json
from unlearning.report.html import write_evaluation_report, write_probe_report, write_run_report, write_trace_report
from unlearning.report.trace_figures import write_trace_plots

LONG_NAME = "shards_with_a_rather_long_name_of_their_own"
WARNING = "3 persons traced: with fewer than 10, intervals are too narrow"


def probes_text() -> str:
    """Return the content of probes.json."""
    return json.dumps(table_json({line.name: line for line in LINES}))


def run_page(folder: Path) -> Path:
    """Write the page of a run that traced, trained, was evaluated beside two other models, and was probed."""
    write_run(folder, documents=3)
    (folder / "probes.json").write_text(probes_text())
    return write_run_report(folder)


def comparison_page(folder: Path) -> Path:
    """Write the page of a sweep: five seeds of one method, fewer of others, long names, jobs without a result."""
    for seed in range(5):
        write_job(folder / f"{seed}-layer_freeze", "layer_freeze", RATES[1], seed)
    for number, rate in enumerate((RATES[0], RATES[2], RATES[0]), start=5):
        job = write_job(folder / f"{number}-chunked_lora", "chunked_lora", rate, number)
        change_config(job, "scope", layers=LONG_NAME if rate == RATES[2] else "all")
    return report_on(add_troubles(folder), None)


def probe_page(folder: Path) -> Path:
    """Write the page of a run that only probed."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"name: probe\nrun: outputs/{LONG_NAME}\nmodel: {{path: null}}\n")
    (folder / "status.json").write_text('{"state": "running"}')
    (folder / "probes.json").write_text(probes_text())
    return write_probe_report(folder)


def trace_page(folder: Path) -> Path:
    """Write the page of a run that traced everything, with the heat map of one fact, which is left empty."""
    write_trace_run(folder, warnings=[WARNING])
    with empty_figures():
        write_trace_plots(trace_result(facts=2), folder, facts=1)
    return write_trace_report(folder)


def evaluation_page(folder: Path) -> Path:
    """Write the page of an evaluation beside a retrained model and a target."""
    return write_evaluation_report(write_evaluated(folder, beside=("retrained", "target")))


PAGES: dict[str, Callable[[Path], Path]] = {
    "run": run_page,
    "comparison": comparison_page,
    "evaluation": evaluation_page,
    "probes": probe_page,
    "trace": trace_page,
}
"""What writes the page of each kind into a folder and returns its path; with a retrained model, several methods or long
names in it."""


def make_pages(folder: Path) -> dict[str, Path]:
    """Return the paths of all pages, by kind."""
    return {kind: write(folder / kind) for kind, write in PAGES.items()}
