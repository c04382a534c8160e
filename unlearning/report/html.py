"""One self-contained page: for a run, for a trace, or for all runs under a folder."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from unlearning.artefacts import write_text
from unlearning.report.choice import SELECTION, write_choices
from unlearning.report.comparison_table import write_latex, write_table
from unlearning.report.comparison_view import SettingView, setting_views
from unlearning.report.details import load_tracing, read_provenance
from unlearning.report.evaluation_page import evaluation_page
from unlearning.report.grouping import flatten
from unlearning.report.probe_view import probe_page
from unlearning.report.run_table import write_runs
from unlearning.report.runs import Run, read_run
from unlearning.report.style import write_pictures
from unlearning.report.summary import COLUMNS, Summary, applies, around, interval_notes, number, summarise
from unlearning.report.table import footnotes
from unlearning.report.trace_figures import PLOTS
from unlearning.report.trace_view import trace_view
from unlearning.report.unfinished_view import unfinished_views
from unlearning.runs.provenance import without_home

PAGE = "report.html"


def write_run_report(run_dir: Path) -> Path:
    """report.html and plots/*.png of one run, finished or not; returns the page's path.

    Raises InputError where the folder is no run.
    """
    run = read_run(run_dir)
    summary = summarise([run])
    views = setting_views(summary)
    for view in views:
        for method in view.methods:
            write_pictures(run_dir / PLOTS, [*method.pictures, *method.evaluation.pictures])
            write_pictures(run_dir / PLOTS, method.tracing.pictures if method.tracing else [])
            write_pictures(run_dir / PLOTS, method.probes.pictures if method.probes else [])
    seed = "" if run.seed is None else f", seed {run.seed}"
    return _write_page(run_dir / PAGE, f"{run.method}{seed}", summary, views)


def write_trace_report(run_dir: Path) -> Path:
    """report.html and plots/*.png of a run that only traced; returns the page's path.

    The heat maps of single facts are those that `write_trace_plots` left in plots/.

    Raises:
        InputError: the folder is no run, or has no layers.json.
    """
    run = read_run(run_dir)
    tracing = load_tracing(run_dir)
    view = trace_view(tracing, run_dir)
    write_pictures(run_dir / PLOTS, view.pictures)
    config = flatten(without_home(run.config))
    values = {
        "title": f"Causal tracing: {config.get('model.name', 'model')}",
        "view": view,
        "settings": sorted(config.items()),
        "provenance": list(flatten(without_home(read_provenance(run_dir))).items()),
    }
    return _write(run_dir / PAGE, "trace.html.j2", values)


def write_evaluation_report(run_dir: Path) -> Path:
    """report.html and plots/*.png of a run that only evaluated; returns the page's path.

    The page is about the first model of metrics.json that has an evaluation/LABEL.json; other models in evaluation/ are
    shown beside it.

    Raises InputError where the folder is no run, or holds no evaluation.
    """
    values = evaluation_page(run_dir)
    write_pictures(run_dir / PLOTS, values["view"].pictures)
    return _write(run_dir / PAGE, "evaluation.html.j2", values)


def write_probe_report(run_dir: Path) -> Path:
    """report.html and plots/*.png of a run that only probed; returns the page's path.

    Raises InputError where the folder is no run, or holds no probes.
    """
    values = probe_page(run_dir)
    write_pictures(run_dir / PLOTS, values["view"].pictures)
    return _write(run_dir / PAGE, "probe.html.j2", values)


def write_comparison_of(runs: Sequence[Run], summary: Summary, folder: Path) -> Path:
    """report.html, comparison.csv and .tex, runs.csv, selection.json and plots/*.png of all `runs`, into `folder`.

    `summary` is theirs; returns the page's path.
    """
    views = setting_views(summary)
    write_table(folder / "comparison.csv", summary)
    write_latex(folder / "comparison.tex", summary)
    write_runs(folder / "runs.csv", runs)
    choices = {section.title: section.choice for section in summary.sections if section.choice is not None}
    write_choices(folder / SELECTION, choices)
    for view in views:
        write_pictures(folder / PLOTS, [*view.pictures, *(view.sweep.pictures if view.sweep else [])])
    return _write_page(folder / PAGE, "Unlearning methods compared", summary, views)


def _write_page(path: Path, title: str, summary: Summary, views: Sequence[SettingView]) -> Path:
    values = {
        "title": title,
        "summary": summary,
        "views": views,
        "columns": COLUMNS,
        "notes": [*footnotes(summary, mark="★"), *interval_notes(summary)],
        "unfinished": unfinished_views(summary),
        "applies": applies,
        "around": around,
        "number": number,
    }
    return _write(path, "template.html.j2", values)


def _write(path: Path, template: str, values: Mapping[str, Any]) -> Path:
    """Fill in a template; returns the page's path."""
    environment = Environment(
        loader=PackageLoader("unlearning", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["without_home"] = without_home
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_text(path, environment.get_template(template).render({**values, "written": written}))
    return path
