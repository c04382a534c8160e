"""What the page says about one method: settings, figures, tracing, answers, provenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unlearning.evaluation.result import EvaluationResult
from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.details import read_curve, read_evaluation, read_provenance, read_tracing
from unlearning.report.evaluation_view import EvaluationView, Scored, evaluation_view
from unlearning.report.grouping import method_settings
from unlearning.report.probe_view import ProbeView, probe_view, read_probes
from unlearning.report.run_figures import draw_curves
from unlearning.report.runs import Run
from unlearning.report.settings import Facts, flatten, telling
from unlearning.report.style import RETRAINED, TARGET, Picture, picture
from unlearning.report.trace_view import TraceView, trace_view
from unlearning.runs.provenance import without_home

_COSTS = (
    ("seconds", "training", 1, " s"),
    ("steps", "steps", 1, ""),
    ("rows", "rows seen", 1, ""),
    ("tokens", "tokens seen", 1, ""),
    ("peak_memory_bytes", "peak memory", 2**20, " MiB"),
    ("best_step", "weights after step", 1, ""),
)


@dataclass(frozen=True)
class MethodView:
    """One section of the page."""

    label: str
    colour: str
    note: str
    """Which run is shown, where the method has several."""
    costs: Facts
    settings: Facts
    """Those that say something; of several methods those in which they differ."""
    all_settings: Facts
    curves: list[Picture]
    evaluation: EvaluationView
    tracing: TraceView | None
    probes: ProbeView | None
    provenance: Facts

    @property
    def pictures(self) -> list[Picture]:
        """Return the figures of all parts."""
        parts = [part for part in (self.evaluation, self.tracing, self.probes) if part]
        return [*self.curves, *(item for part in parts for item in part.pictures)]


def method_view(group: ComparisonRow, rivals: Sequence[ComparisonRow], colour: str, prefix: str = "") -> MethodView:
    """Read what the group's representative run left. `prefix` keeps the figures of one page apart."""
    run = group.representative
    tracing = read_tracing(run.path)
    note = f"{run.place}: of {len(group.runs)} runs the one of median final score" if len(group.runs) > 1 else run.place
    settings = [method_settings(rival.representative) for rival in rivals]
    return MethodView(
        label=group.label,
        colour=colour,
        note=note,
        costs=costs(run),
        settings=telling(settings, rivals.index(group)),
        all_settings=sorted(flatten(without_home(run.config)).items()),
        curves=_curves(run, prefix),
        evaluation=_evaluation(run, colour, prefix),
        tracing=trace_view(tracing, run.path, prefix) if tracing else None,
        probes=probe_view(read_probes(run.path), colour, prefix),
        provenance=list(flatten(without_home(read_provenance(run.path))).items()),
    )


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


def _evaluation(run: Run, colour: str, prefix: str) -> EvaluationView:
    """Return the section on all models that were evaluated; of the unlearned one there are its numbers at least."""
    numbers = EvaluationResult(metrics=dict(run.metrics), missing=list(run.missing))
    main = Scored("unlearned", colour, read_evaluation(run.path, "unlearned") or numbers, "After")
    models = [main]
    if target := read_evaluation(run.path, "target"):
        models.insert(0, Scored("untouched target", TARGET, target, "Before"))
    if retrained := read_evaluation(run.path, "retrained"):
        models.append(Scored("retrained model", RETRAINED, retrained, "Retrained model"))
    return evaluation_view(models, main, run.config, prefix)
