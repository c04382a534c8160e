"""What a page says about the methods of one setting: their table, figures, what was varied, a section each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unlearning.report.comparison_figures import (
    MAX_AXES,
    MAX_KEYS,
    MAX_LEGEND,
    MAX_LEVELS,
    bars,
    draw_budget,
    draw_final,
    draw_parallel,
    draw_sensitivity,
    draw_tradeoff,
    drawn_keys,
    row_heights,
)
from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.method_part import method_part
from unlearning.report.page import PagePart
from unlearning.report.pareto import front_labels, measured_panels, method_front
from unlearning.report.runs import Run
from unlearning.report.sensitivity import Sensitivity, seed_share, sensitivities, swept_keys
from unlearning.report.settings import ABSENT
from unlearning.report.style import Picture, method_colours, picture
from unlearning.report.summary import Section, Summary

MAX_SECTIONS = 12
"""Methods that have a section of their own."""
MIN_KEYS, MIN_RUNS = 2, 4
"""Settings and runs from which on parallel coordinates say more than the table."""
FINAL = (
    "Each bar is the sum of three thirds; the numbers inside are the parts themselves. A whisker is what stands beside "
    "the number in the table. Of very many methods the best have a bar."
)
TRADEOFF = "Who has forgotten more stands further to the right, who has kept more stands higher."
ROLES = {
    "retrained": "The star is the retrained model, which never saw the forget rows.",
    "target": "The square is the untouched target, which still knows them.",
}
FRONT = "A ring: no other method forgets more without keeping less; the line bounds what was reached."
GREY = "The methods without a ring are grey, since there are very many."
SENSITIVITY = (
    "Every point is a run, every bar the mean of the runs with that value; η² is the share of the variance between the "
    f"values. Shown are at most {MAX_KEYS} settings with up to {MAX_LEVELS} values, those that explain most."
)
PARALLEL = (
    "Every line is a run, from the values of its settings to its final score; blue is better. Thick: the runs of the "
    f"selected method. Shown are at most {MAX_AXES} settings; those that explain more stand nearer to the score."
)
BUDGET = "Methods with equal budgets can be compared where their lines end. Runs that failed are not in them."


@dataclass(frozen=True)
class SweepView:
    """The section on settings."""

    items: list[Sensitivity]
    pictures: list[Picture]
    seeds: float | None
    """The share of the final score's variance that is between seeds of the same settings, where it is known."""

    @property
    def finding(self) -> str:
        """Return which setting explains most, in one sentence; empty where no setting can be told from the run."""
        first = self.items[0]
        if (share := first.explained["final"]) is None:
            return ""
        words = f"Of all settings, {first.key.name} explains most: by itself {share:.0%} of the variance of the final "
        words += f"score ({first.chance:.0%} would be chance)"
        return words + (f"; {self.seeds:.0%} is between seeds of the same settings." if self.seeds is not None else ".")


@dataclass(frozen=True)
class SettingView:
    """One setting of the page: its table, its comparison and its methods."""

    section: Section
    pictures: list[Picture]
    sweep: SweepView | None
    methods: list[PagePart]
    """The methods that have a section, see `shown_methods`."""


def setting_views(summary: Summary) -> list[SettingView]:
    """Return every setting with its figures, a method in the same colour everywhere."""
    colours = method_colours(row.label for section in summary.sections for row in section.methods)
    views = []
    for section in summary.sections:
        methods = [method_part(row, section, colours[row.label]) for row in shown_methods(section)]
        views.append(SettingView(section, _pictures(section.rows, colours), sweep_view(section.methods), methods))
    return views


def shown_methods(section: Section) -> list[ComparisonRow]:
    """Return the methods that have a section: all, or of very many the selected one, those on a front, and the best."""
    fronts = [label for labels in front_labels(section.rows).values() for label in labels]
    ranked = sorted(section.methods, key=lambda row: (row.selected, row.label in fronts, row.final), reverse=True)
    kept = {row.label for row in ranked[:MAX_SECTIONS]}
    return [row for row in section.methods if row.label in kept]


def varied_settings(summary: Summary) -> list[tuple[Run, str]]:
    """Return each run without a result, with what was varied between all runs, and its seed."""
    methods = [row for section in summary.sections for row in section.methods]
    keys = swept_keys([*summary.unfinished, *(run for row in methods for run in row.runs)])
    found = []
    for index, run in enumerate(summary.unfinished):
        own = [f"{key.name}={key.labels[key.texts[index]]}" for key in keys if key.texts[index] != ABSENT]
        found.append((run, ", ".join(own if run.seed is None else [*own, f"seed={run.seed}"])))
    return found


def sweep_view(methods: Sequence[ComparisonRow]) -> SweepView | None:
    """Return what the settings do to the final score, by the runs that have one.

    None where no setting was varied in a way that its effect could be told from that of the run.
    """
    found = [(run, row.selected) for row in methods for run in row.runs if run.metrics.get("final") is not None]
    runs, selected = [run for run, _ in found], [own for _, own in found]
    items, pictures = sensitivities(runs, swept_keys(runs)), []
    if drawn := drawn_keys(items):
        size, title = (10.0, 0.7 + sum(row_heights(drawn))), "What each setting does"
        pictures.append(picture("sensitivity", title, SENSITIVITY, size, draw_sensitivity, drawn, runs))
    if len(items) >= MIN_KEYS and len(runs) >= MIN_RUNS:
        given = [item.key for item in reversed(items[:MAX_AXES])], [run.metrics["final"] for run in runs], selected
        pictures.append(picture("parallel", "From settings to score", PARALLEL, (10.0, 4.0), draw_parallel, *given))
        pictures.append(picture("budget", "Budget and best score", BUDGET, (10.0, 3.4), draw_budget, runs))
    return SweepView(items, pictures, seed_share(methods)) if pictures else None


def tradeoff_caption(rows: Sequence[ComparisonRow]) -> str:
    """Say what the marks mean that the figure has."""
    roles = {row.role for row in rows}
    sentences = [TRADEOFF, *(text for role, text in ROLES.items() if role in roles)]
    if any(method_front(rows, panel) for panel in measured_panels(rows)):
        sentences.append(FRONT)
    return " ".join([*sentences, GREY] if len(rows) > MAX_LEGEND else sentences)


def _pictures(rows: Sequence[ComparisonRow], colours: Mapping[str, str]) -> list[Picture]:
    size, title = (10.0, 0.9 + 0.42 * len(bars(rows))), "What was forgotten against what was kept"
    final = picture("final", "Final score", FINAL, size, draw_final, rows, colours)
    size = (10.0, 4.0 + 0.08 * min(len(rows), MAX_LEGEND))
    return [final, picture("tradeoff", title, tradeoff_caption(rows), size, draw_tradeoff, rows, colours)]
