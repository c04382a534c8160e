"""The part of a page on one method: its settings and cost, and the parts on its evaluation, probes and tracing."""

from functools import partial

from unlearning.evaluation.result import EvaluationResult
from unlearning.report.comparison_row import ROLES, ComparisonRow
from unlearning.report.details import read_curve, read_evaluation, read_tracing
from unlearning.report.evaluation_part import evaluation_part
from unlearning.report.grouping import method_settings
from unlearning.report.page import PagePart, render
from unlearning.report.probe_part import probe_part, read_probes
from unlearning.report.run_figures import draw_curves
from unlearning.report.runs import Run
from unlearning.report.settings import Facts, telling
from unlearning.report.style import Picture, picture
from unlearning.report.summary import Section
from unlearning.report.trace_part import trace_part

_COSTS = (
    ("seconds", "training", 1, " s"),
    ("steps", "steps", 1, ""),
    ("rows", "rows seen", 1, ""),
    ("tokens", "tokens seen", 1, ""),
    ("peak_memory_bytes", "peak memory", 2**20, " MiB"),
    ("best_step", "weights after step", 1, ""),
)


def method_part(row: ComparisonRow, section: Section, colour: str, prefix: str = "") -> PagePart:
    """Return the part on one method of a section, by what its representative run left.

    Of several methods, the settings in which they differ are shown. `prefix` keeps the figures of one page apart.
    """
    run, curves = row.representative, _curves(row.representative, prefix)
    parts = [_evaluation(run, colour, prefix)]
    if probes := read_probes(run.path):
        parts.append(probe_part(probes, colour, prefix))
    if tracing := read_tracing(run.path):
        parts.append(trace_part(tracing, run.path, prefix))
    settings = [method_settings(rival.representative) for rival in section.methods]
    values = {
        "section": section,
        "row": row,
        "run": run,
        "colour": colour,
        "settings": telling(settings, section.methods.index(row)),
        "costs": costs(run),
        "curves": curves,
        "parts": parts,
    }
    pictures = [*curves, *(item for part in parts for item in part.pictures)]
    return PagePart(row.label, parts[0].finding, render("method.html.j2", values), pictures)


def costs(run: Run) -> Facts:
    """Return what the run took, as far as it was recorded."""
    training = run.training
    facts = [
        (name, f"{value / scale:,.0f}{unit}")
        for key, name, scale, unit in _COSTS
        if (value := training.get(key)) is not None
    ]
    if run.stopped is not None:
        facts.append(("stopped early by", run.stopped))
    moved, everything = training.get("trainable_parameters"), training.get("parameters")
    if moved is not None and everything:
        facts.append(("trained parameters", f"{moved:,.0f} ({moved / everything:.1%})"))
    return facts


def _curves(run: Run, prefix: str) -> list[Picture]:
    curve = read_curve(run.path)
    if curve is None:
        return []
    caption = "Before each step's update; the thin line is measured, the thick one its running mean."
    caption += " Dashed lines: a new chunk begins." if curve["phase"].nunique() > 1 else ""
    return [picture(f"{prefix}curves", "Training", caption, (10.0, 2.7), partial(draw_curves, curve=curve))]


def _evaluation(run: Run, colour: str, prefix: str) -> PagePart:
    """Return the part on all models that were evaluated; of the unlearned one there are its numbers at least."""
    results = {name: read_evaluation(run.path, name) for name in ("target", "unlearned", "retrained")}
    results["unlearned"] = results["unlearned"] or EvaluationResult(dict(run.metrics), missing=list(run.missing))
    models = {ROLES.get(name, name): result for name, result in results.items() if result}
    return evaluation_part(models, "unlearned", run.config, colour, prefix)
