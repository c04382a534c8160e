"""What a page says about the methods of one setting: their table, figures, what was varied, a section each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from unlearning.report.comparison_figures import (
    MAX_AXES,
    MAX_BARS,
    MAX_LEGEND,
    MAX_LEVELS,
    bars,
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
from unlearning.report.pareto import front_labels
from unlearning.report.runs import Run
from unlearning.report.sensitivity import Sensitivity, seed_share, sensitivities, swept_keys
from unlearning.report.settings import ABSENT
from unlearning.report.style import Picture, method_colours, picture
from unlearning.report.summary import Section, Summary

MAX_SECTIONS = 12
"""Methods that have a section of their own."""
MIN_KEYS, MIN_RUNS = 2, 4
"""Settings and runs from which on parallel coordinates say more than the table."""


@dataclass(frozen=True)
class SweepView:
    """The section on settings."""

    items: list[Sensitivity]
    pictures: list[Picture]
    seeds: float | None
    """The share of the final score's variance that is between seeds of the same settings, where it is known."""

    @property
    def finding(self) -> str:
        """Return the ranking in one sentence; empty where no setting can be told from the run."""
        shares = [
            (item.key.name, share, item.chance) for item in self.items if (share := item.explained["final"]) is not None
        ]
        if not shares:
            return ""
        name, share, chance = shares[0]
        words = f"By itself, {name} explains {share:.0%} of the variance of the final score ({chance:.0%} would be "
        words += "chance)" + "".join(f", {name} {share:.0%} ({chance:.0%})" for name, share, chance in shares[1:4])
        return words + (f"; {self.seeds:.0%} is between seeds of the same settings." if self.seeds is not None else ".")


@dataclass(frozen=True)
class SettingView:
    """One setting of the page: its table, its comparison and its methods."""

    section: Section
    pictures: list[Picture]
    sweep: SweepView | None
    methods: list[PagePart]
    """The methods that have a section: of very many the selected one, those on a front, and the best."""


def setting_views(summary: Summary) -> list[SettingView]:
    """Return every setting with its figures, a method in the same colour everywhere."""
    methods = [row for section in summary.sections for row in section.methods]
    colours = method_colours(row.label for row in methods)
    # A page about one run alone has its figures under their plain names.
    plain = sum(len(row.runs) for row in methods) == 1 and not summary.unfinished
    views = []
    for index, section in enumerate(summary.sections):
        prefix = f"setting{index}_" if len(summary.sections) > 1 else ""
        sections = [
            method_part(row, section, colours[row.label], "" if plain else f"{prefix}method{place}_")
            for place, row in enumerate(shown_methods(section))
        ]
        sweep = sweep_view(section.methods, prefix) if len(section.methods) > 1 else None
        views.append(SettingView(section, _pictures(section.rows, colours, prefix), sweep, sections))
    return views


def shown_methods(section: Section) -> list[ComparisonRow]:
    """Return the methods that have a section: all, or of very many the selected one, those on a front, and the best."""
    fronts = [label for labels in front_labels(section.rows).values() for label in labels]
    ranked = sorted(section.methods, key=lambda row: (row.selected, row.label in fronts, row.final), reverse=True)
    kept = {row.label for row in ranked[:MAX_SECTIONS]}
    return [row for row in section.methods if row.label in kept]


def varied_settings(summary: Summary) -> list[tuple[Run, str]]:
    """Return each run without a result, with what was varied between all runs, and its seed."""
    runs = [*summary.unfinished, *(run for section in summary.sections for run in section.runs)]
    keys = swept_keys(runs)
    found = []
    for index, run in enumerate(summary.unfinished):
        own = {key.name: key.labels[key.texts[index]] for key in keys if key.texts[index] != ABSENT}
        own |= {} if run.seed is None else {"seed": str(run.seed)}
        found.append((run, ", ".join(f"{name}={value}" for name, value in own.items())))
    return found


def sweep_view(methods: Sequence[ComparisonRow], prefix: str) -> SweepView | None:
    """Return what the settings do to the final score, by the runs that have one.

    None where no setting was varied in a way that its effect could be told from that of the run.
    """
    found = [(run, row.selected) for row in methods for run in row.runs if run.metrics.get("final") is not None]
    runs = [run for run, _ in found]
    items = sensitivities(runs, swept_keys(runs))
    pictures = [*_sensitivity(runs, items, prefix), *_parallel(runs, items, [bold for _, bold in found], prefix)]
    return SweepView(items, pictures, seed_share(methods)) if pictures else None


def _pictures(rows: Sequence[ComparisonRow], colours: dict[str, str], prefix: str) -> list[Picture]:
    drawn = bars(rows)
    caption = "Each bar is the sum of three thirds; the numbers inside are the parts themselves. A whisker is what "
    caption += "stands beside the number in the table."
    caption += f" Of {len(rows)} methods the {MAX_BARS} best." if len(drawn) < len(rows) else ""
    size, draw = (10.0, 0.9 + 0.42 * len(drawn)), partial(draw_final, rows=rows, colours=colours)
    height = 4.0 + 0.08 * min(len(rows), MAX_LEGEND)
    tradeoff = partial(draw_tradeoff, rows=rows, colours=colours)
    title = "What was forgotten against what was kept"
    return [
        picture(f"{prefix}final", "Final score", caption, size, draw),
        picture(f"{prefix}tradeoff", title, _tradeoff_caption(rows), (10.0, height), tradeoff),
    ]


def _tradeoff_caption(rows: Sequence[ComparisonRow]) -> str:
    roles = [row.role for row in rows]
    told = {
        "The star is the retrained model, which never saw the forget rows.": "retrained" in roles,
        "The square is the untouched target, which still knows them.": "target" in roles,
        "A ring: no other method forgets more without keeping less; the line bounds what was reached.": (
            roles.count("method") > 1
        ),
        "Grey: methods that another one dominates in both.": len(rows) > MAX_LEGEND,
    }
    return " ".join(words for words, applies in told.items() if applies)


def _sensitivity(runs: Sequence[Run], items: Sequence[Sensitivity], prefix: str) -> Iterable[Picture]:
    if drawn := drawn_keys(items):
        caption = "Every point is a run, every bar the mean of the runs with that value; η² is the share of the "
        caption += "variance between the values."
        left_out = sum(item.explained["final"] is not None for item in items) - len(drawn)
        caption += f" {left_out} more explain less or have over {MAX_LEVELS} values." if left_out else ""
        draw = partial(draw_sensitivity, items=drawn, runs=runs)
        size = (10.0, 0.7 + sum(row_heights(drawn)))
        yield picture(f"{prefix}sensitivity", "What each setting does", caption, size, draw)


def _parallel(
    runs: Sequence[Run], items: Sequence[Sensitivity], bold: Sequence[bool], prefix: str
) -> Iterable[Picture]:
    """Yield the parallel coordinates, in which settings that explain more stand nearer to the score."""
    if len(items) < MIN_KEYS or len(runs) < MIN_RUNS:
        return
    keys, scores = [item.key for item in reversed(items[:MAX_AXES])], [run.metrics["final"] or 0.0 for run in runs]
    caption = "Every line is a run, from the values of its settings to its final score; blue is better."
    caption += " Thick: the runs of the selected method." if any(bold) and not all(bold) else ""
    caption += f" Of {len(items)} settings the {MAX_AXES} that explain most." if len(items) > MAX_AXES else ""
    draw = partial(draw_parallel, keys=keys, finals=scores, bold=bold)
    yield picture(f"{prefix}parallel", "From settings to score", caption, (10.0, 4.0), draw)
