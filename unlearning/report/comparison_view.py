"""What a page says about the methods of one setting: their table, their comparison, a section each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unlearning.report.choice import Choice
from unlearning.report.comparison_figures import (
    MAX_BARS,
    MAX_LEGEND,
    bars,
    draw_final,
    draw_tradeoff,
)
from unlearning.report.grouping import Group
from unlearning.report.method_view import MethodView, method_view
from unlearning.report.pareto import front_labels, front_sentence
from unlearning.report.runs import Run
from unlearning.report.style import Picture, method_colours, picture
from unlearning.report.summary import ComparisonRow, Section, Summary, around, number
from unlearning.report.sweep_view import SweepView, sweep_view
from unlearning.report.swept import swept_keys

MAX_SECTIONS = 12
"""Methods that have a section of their own."""


@dataclass(frozen=True)
class SettingView:
    """One setting of the page: its table, its comparison and its methods."""

    title: str
    rows: tuple[ComparisonRow, ...]
    finding: str
    choice: Choice | None
    """None where there is nothing to choose from."""
    front: str
    """Which methods no other one dominates; empty for a single method."""
    pictures: list[Picture]
    sweep: SweepView | None
    methods: list[MethodView]
    left_out: int
    """Methods without a section."""


def setting_views(summary: Summary) -> list[SettingView]:
    """Return every setting with its figures, a method in the same colour everywhere."""
    groups = [group for section in summary.sections for group in section.setting.groups]
    colours = method_colours(group.label for group in groups)
    several = len(summary.sections) > 1
    alone = sum(len(group.runs) for group in groups) == 1 and not summary.unfinished
    return [
        _setting_view(section, colours, f"setting{index}_" if several else "", alone)
        for index, section in enumerate(summary.sections)
    ]


def finding(section: Section) -> str:
    """Return the result in one sentence."""
    finals = [(row, value.mean) for row in section.rows if (value := row.values["final"])]
    methods = [(row, final) for row, final in finals if row.role == "method"]
    if not methods:
        return "No final score: parts of it could not be measured."
    best, final = max(methods, key=lambda pair: pair[1])
    others = ", ".join(f"{row.label} {number(value, 'final')}" for row, value in finals if row.role != "method")
    verb = "reaches the best final score," if len(section.setting.groups) > 1 else "has a final score of"
    score = " ".join(filter(None, [number(final, "final"), around(best.values["final"], "final")]))
    return f"{best.label} {verb} {score}{f' ({others})' if others else ''}."


def shown_groups(section: Section) -> list[Group]:
    """Return the methods that have a section: all, or of very many the selected one, those on a front, and the best."""
    groups = section.setting.groups
    if len(groups) <= MAX_SECTIONS:
        return list(groups)
    rows = {row.label: row for row in section.rows if row.role == "method"}
    fronts = set().union(*front_labels(section.rows).values())

    def rank(group: Group) -> tuple[bool, bool, float]:
        final = rows[group.label].values["final"]
        return rows[group.label].selected, group.label in fronts, final.mean if final else -1.0

    best = {group.label for group in sorted(groups, key=rank, reverse=True)[:MAX_SECTIONS]}
    return [group for group in groups if group.label in best]


def varied_settings(summary: Summary) -> list[tuple[Run, str]]:
    """Return each run without a result, with what was varied between all runs, and its seed where there are several."""
    runs = [*summary.unfinished, *(run for section in summary.sections for run in section.setting.runs)]
    keys = [(key.name, key.texts, key.labels) for key in swept_keys(runs)]
    several = len({run.seed for run in runs}) > 1
    found = []
    for index, run in enumerate(summary.unfinished):
        words = [f"{name}={labels[texts[index]]}" for name, texts, labels in keys if texts[index] is not None]
        seed = [f"seed={run.seed}"] if several and run.seed is not None else []
        found.append((run, ", ".join(words + seed)))
    return found


def _setting_view(section: Section, colours: dict[str, str], prefix: str, alone: bool) -> SettingView:
    groups, shown = section.setting.groups, shown_groups(section)
    several = len(groups) > 1
    prefixes = ["" if alone else f"{prefix}method{index}_" for index in range(len(shown))]
    return SettingView(
        title=section.title,
        rows=section.rows,
        finding=finding(section),
        choice=section.choice if several else None,
        front=front_sentence(section.rows),
        pictures=_pictures(section.rows, colours, prefix),
        sweep=sweep_view(section.setting, section.choice, prefix) if several else None,
        methods=[
            method_view(group, groups, colours[group.label], own) for group, own in zip(shown, prefixes, strict=True)
        ],
        left_out=len(groups) - len(shown),
    )


def _pictures(rows: Sequence[ComparisonRow], colours: dict[str, str], prefix: str) -> list[Picture]:
    drawn = bars(rows)
    caption = (
        "Each bar is the sum of three thirds; the numbers inside are the parts themselves. A whisker is what stands "
    )
    caption += "beside the number in the table."
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
    told = []
    if "retrained" in roles:
        told.append("The star is the retrained model, which never saw the forget rows.")
    if "target" in roles:
        told.append("The square is the untouched target, which still knows them.")
    if roles.count("method") > 1:
        told.append("A ring: no other method forgets more without keeping less; the line bounds what was reached.")
    if len(rows) > MAX_LEGEND:
        told.append("Grey: methods that another one dominates in both.")
    return " ".join(told)
