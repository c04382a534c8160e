"""One self-contained page: for a run, a trace, an evaluation, probes, or for all runs under a folder."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from unlearning.artefacts import write_text
from unlearning.errors import InputError
from unlearning.report.choice import SELECTION, write_choices
from unlearning.report.comparison_row import COLUMNS
from unlearning.report.comparison_table import write_latex, write_table
from unlearning.report.comparison_view import setting_views, varied_settings
from unlearning.report.details import load_tracing, read_provenance
from unlearning.report.evaluation_view import evaluated_models, evaluation_view, finding
from unlearning.report.heat_maps import choices
from unlearning.report.pareto import front_sentence
from unlearning.report.probe_view import PROBES, cell, probe_view, read_probes
from unlearning.report.run_table import write_runs
from unlearning.report.runs import Run, read_run
from unlearning.report.sensitivity import MEASURES
from unlearning.report.settings import flatten
from unlearning.report.statistic import around, number
from unlearning.report.style import METHODS, Picture, write_pictures
from unlearning.report.summary import Summary, notes, summarise
from unlearning.report.trace_figures import PLOTS
from unlearning.report.trace_view import interval, layer_ranges, trace_view
from unlearning.runs.provenance import without_home

PAGE = "report.html"


def write_run_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of one run, finished or not, and return the page's path.

    Raises InputError where the folder is no run.
    """
    run = read_run(run_dir)
    seed = "" if run.seed is None else f", seed {run.seed}"
    values = _comparison(summarise([run]))
    pictures = [item for view in values["views"] for method in view.methods for item in method.pictures]
    return _write(run_dir, "template.html.j2", {"title": f"{run.method}{seed}", **values}, pictures)


def write_trace_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only traced, and return the page's path.

    The heat maps of single facts are those that `write_trace_plots` left in plots/.
    Raises InputError where the folder is no run, or has no layers.json.
    """
    run = read_run(run_dir)
    view = trace_view(load_tracing(run_dir), run_dir)
    title = f"Causal tracing: {flatten(run.config).get('model.name', 'model')}"
    return _write(run_dir, "trace.html.j2", {"title": title, "view": view, **_facts(run)}, view.pictures)


def write_evaluation_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only evaluated, and return the page's path.

    The page is about the first model of metrics.json that has an evaluation/LABEL.json; other models in evaluation/ are
    shown beside it. Raises InputError where the folder is no run, or holds no evaluation.
    """
    run = read_run(run_dir)
    models = evaluated_models(run_dir)
    view = evaluation_view(models, models[0], run.config)
    values = {"title": f"Evaluation: {models[0].label}", "finding": finding(models[0]), "view": view, **_facts(run)}
    return _write(run_dir, "evaluation.html.j2", values, view.pictures)


def write_probe_report(run_dir: Path) -> Path:
    """Write report.html and plots/*.png of a run that only probed, and return the page's path.

    Raises InputError where the folder is no run, or holds no probes.
    """
    run = read_run(run_dir)
    view = probe_view(read_probes(run_dir), METHODS[0])
    if view is None:
        raise InputError(f"{run_dir / PROBES}: no probes of this version in it")
    config = flatten(run.config)
    about = next((config[key] for key in ("run", "model.path") if config.get(key, "null") != "null"), "a model")
    values = {"title": f"Is it really gone? {Path(about).name}", "view": view, **_facts(run)}
    return _write(run_dir, "probe.html.j2", values, view.pictures)


def write_comparison_of(runs: Sequence[Run], summary: Summary, folder: Path) -> Path:
    """Write report.html, comparison.csv and .tex, runs.csv, selection.json and plots/*.png of all `runs` into `folder`.

    `summary` is theirs. Returns the page's path.
    """
    write_table(folder / "comparison.csv", summary)
    write_latex(folder / "comparison.tex", summary)
    write_runs(folder / "runs.csv", runs)
    found = {section.title: section.choice for section in summary.sections if section.choice is not None}
    write_choices(folder / SELECTION, found)
    values = _comparison(summary)
    pictures = [item for view in values["views"] for item in view.pictures]
    pictures += [item for view in values["views"] if view.sweep for item in view.sweep.pictures]
    return _write(folder, "template.html.j2", {"title": "Unlearning methods compared", **values}, pictures)


def _comparison(summary: Summary) -> dict[str, Any]:
    return {
        "views": setting_views(summary),
        "notes": notes(summary, mark="★"),
        "unfinished": varied_settings(summary),
    }


def _facts(run: Run) -> dict[str, Any]:
    provenance = flatten(without_home(read_provenance(run.path)))
    return {"settings": sorted(flatten(without_home(run.config)).items()), "provenance": list(provenance.items())}


def _write(folder: Path, template: str, values: Mapping[str, Any], pictures: Iterable[Picture]) -> Path:
    """Fill in a template, write the pictures beside it, and return the page's path."""
    environment = Environment(
        loader=PackageLoader("unlearning", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "around": around,
        "cell": cell,
        "decimals": lambda value, digits: "-" if value is None or value != value else f"{value:.{digits}f}",
        "front_sentence": front_sentence,
        "interval": interval,
        "layer_ranges": layer_ranges,
        "number": number,
        "without_home": without_home,
    }
    environment.globals |= {"choices": choices, "columns": COLUMNS, "measures": MEASURES}
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_text(folder / PAGE, environment.get_template(template).render({**values, "written": written}))
    write_pictures(folder / PLOTS, pictures)
    return folder / PAGE
