"""One self-contained page: for a run, a trace, an evaluation, probes, or for all runs under a folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unlearning.artefacts import write_text
from unlearning.errors import InputError
from unlearning.mediation.tracing import load_tracing
from unlearning.report.choice import SELECTION, write_choices
from unlearning.report.comparison_table import write_latex, write_runs, write_table
from unlearning.report.comparison_view import SettingView, setting_views, varied_settings
from unlearning.report.evaluation_part import evaluated_models, evaluation_part
from unlearning.report.page import PagePart, render
from unlearning.report.probe_part import PROBES, probe_part, read_probes
from unlearning.report.runs import Run, read_run
from unlearning.report.settings import flatten
from unlearning.report.style import Picture, write_pictures
from unlearning.report.summary import Summary, notes, summarise
from unlearning.report.trace_figures import PLOTS
from unlearning.report.trace_part import trace_part

PAGE = "report.html"


def write_run_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of one run, finished or not, and return the page's path.

    Raises InputError where the folder is no run.
    """
    run = read_run(run_dir)
    summary = summarise([run])
    views = setting_views(summary)
    pictures = [item for view in views for method in view.methods for item in method.pictures]
    title = run.method if run.seed is None else f"{run.method}, seed {run.seed}"
    return _write_comparison(run_dir, title, summary, views, pictures)


def write_trace_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only traced, and return the page's path.

    The heat maps of single facts are those that `write_trace_plots` left in plots/.
    Raises InputError where the folder is no run, or has no layers.json.
    """
    run = read_run(run_dir)
    title = f"Causal tracing: {flatten(run.config).get('model.name', 'model')}"
    return _write_part(run, title, trace_part(load_tracing(run_dir), run_dir))


def write_evaluation_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only evaluated, and return the page's path.

    The page is about the first model of metrics.json that has an evaluation/LABEL.json; other models in evaluation/ are
    shown beside it. Raises InputError where the folder is no run, or holds no evaluation.
    """
    run, models = read_run(run_dir), evaluated_models(run_dir)
    main = next(iter(models))
    return _write_part(run, f"Evaluation: {main}", evaluation_part(models, main, run.config))


def write_probe_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only probed, and return the page's path.

    Raises InputError where the folder is no run, or holds no probes.
    """
    run, probes = read_run(run_dir), read_probes(run_dir)
    if not probes:
        raise InputError(f"{run_dir / PROBES}: no probes of this version in it")
    config = flatten(run.config)
    about = next((config[key] for key in ("run", "model.path") if config.get(key, "null") != "null"), "a model")
    return _write_part(run, f"Is it really gone? {Path(about).name}", probe_part(probes))


def write_comparison_of(runs: Sequence[Run], summary: Summary, folder: Path) -> Path:
    """Write report.html, comparison.csv and .tex, runs.csv, selection.json and plots/*.png of all `runs` into `folder`.

    `summary` is theirs. Returns the page's path.
    """
    write_table(folder / "comparison.csv", summary)
    write_latex(folder / "comparison.tex", summary)
    write_runs(folder / "runs.csv", runs)
    found = {section.title: section.choice for section in summary.sections if section.choice is not None}
    write_choices(folder / SELECTION, found)
    views, pictures = setting_views(summary), []
    for index, view in enumerate(views):
        prefix = f"setting{index}_" if len(views) > 1 else ""
        own = [*view.pictures, *(view.sweep.pictures if view.sweep else [])]
        pictures += [replace(item, name=f"{prefix}{item.name}") for item in own]
    return _write_comparison(folder, "Unlearning methods compared", summary, views, pictures)


def _write_comparison(
    folder: Path, title: str, summary: Summary, views: Sequence[SettingView], pictures: Iterable[Picture]
) -> Path:
    values = {"title": title, "views": views, "notes": notes(summary, "★"), "unfinished": varied_settings(summary)}
    return _write(folder, "comparison.html.j2", values, pictures)


def _write_part(run: Run, title: str, part: PagePart) -> Path:
    """Write the page of a run that has one part, and return its path."""
    return _write(run.path, "page.html.j2", {"title": title, "part": part, "run": run}, part.pictures)


def _write(folder: Path, template: str, values: Mapping[str, Any], pictures: Iterable[Picture]) -> Path:
    """Fill in a template, write the pictures beside it, and return the page's path."""
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_text(folder / PAGE, render(template, {**values, "written": written}))
    write_pictures(folder / PLOTS, pictures)
    return folder / PAGE
