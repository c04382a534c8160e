"""The part of a page on one method: its settings and cost, and the parts on its evaluation, probes and tracing."""

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
from unlearning.report.style import picture
from unlearning.report.summary import Section
from unlearning.report.trace_part import trace_part

CURVES = (
    "Before each step's update; the thin line is measured, the thick one its running mean. A new chunk begins at a "
    "dashed line."
)


def method_part(row: ComparisonRow, section: Section, colour: str) -> PagePart:
    """Return the part on one method of a section, by what its representative run left.

    Of several methods, the settings in which they differ are shown.
    """
    run = row.representative
    curve, size = read_curve(run.path), (10.0, 2.7)
    curves = [] if curve is None else [picture("curves", "Training", CURVES, size, draw_curves, curve)]
    parts = [_evaluation(run, colour)]
    if probes := read_probes(run.path):
        parts.append(probe_part(probes, colour))
    if tracing := read_tracing(run.path):
        parts.append(trace_part(tracing, run.path))
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
    """Return what the training took, as far as it was recorded, and the share of the parameters that it trained."""
    facts = [(key.replace("_", " "), f"{value:,.0f}") for key, value in run.training.items() if value is not None]
    if run.stopped is not None:
        facts.append(("stopped early by", run.stopped))
    trained, everything = run.training.get("trainable_parameters"), run.training.get("parameters")
    return [*facts, ("trainable share", f"{trained / everything:.1%}")] if trained and everything else facts


def _evaluation(run: Run, colour: str) -> PagePart:
    """Return the part on all models that were evaluated; of the unlearned one there are its numbers at least."""
    results = {name: read_evaluation(run.path, name) for name in ("target", "unlearned", "retrained")}
    results["unlearned"] = results["unlearned"] or EvaluationResult(dict(run.metrics), missing=list(run.missing))
    models = {ROLES.get(name, name): result for name, result in results.items() if result}
    return evaluation_part(models, "unlearned", run.config, colour)
