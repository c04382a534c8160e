"""What the page says about the settings that were varied: what each explains, and the runs that led there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unlearning.report.choice import Choice
from unlearning.report.comparison_figures import (
    MAX_AXES,
    MAX_LEVELS,
    draw_parallel,
    draw_sensitivity,
    drawn_keys,
    row_heights,
)
from unlearning.report.grouping import Setting
from unlearning.report.sensitivity import Sensitivity, seed_share, sensitivities
from unlearning.report.style import Picture, picture
from unlearning.report.swept import SweptKey, swept_keys

MIN_KEYS, MIN_RUNS = 2, 4
"""Settings and runs from which on parallel coordinates say more than the table."""


@dataclass(frozen=True)
class SweepView:
    """The section on settings."""

    finding: str
    """Empty where no setting can be told from the run."""
    items: list[Sensitivity]
    pictures: list[Picture]


def sweep_view(setting: Setting, choice: Choice | None, prefix: str) -> SweepView | None:
    """Return None where no setting was varied in a way that its effect could be told from that of the run."""
    items = sensitivities(setting.runs, swept_keys(setting.runs))
    ranked = [item for item in items if item.explained["final"] is not None]
    pictures = [*_sensitivity(setting, ranked, prefix), *_parallel(setting, items, choice, prefix)]
    return SweepView(_finding(ranked, seed_share(setting.groups)), items, pictures) if pictures else None


def _sensitivity(setting: Setting, ranked: Sequence[Sensitivity], prefix: str) -> list[Picture]:
    drawn = drawn_keys(ranked)
    if not drawn:
        return []
    caption = "Every point is a run, every bar the mean of the runs with that value; η² is the share of the variance "
    caption += "between the values."
    if left_out := len(ranked) - len(drawn):
        caption += f" {left_out} of {len(ranked)} are not drawn: they explain less or have over {MAX_LEVELS} values."
    draw = partial(draw_sensitivity, items=drawn, runs=setting.runs)
    return [
        picture(f"{prefix}sensitivity", "What each setting does", caption, (10.0, 0.7 + sum(row_heights(drawn))), draw)
    ]


def _parallel(setting: Setting, items: Sequence[Sensitivity], choice: Choice | None, prefix: str) -> list[Picture]:
    """Return the parallel coordinates, in which settings that explain more stand nearer to the score."""
    finals = {index: final for index, run in enumerate(setting.runs) if (final := run.metrics.get("final")) is not None}
    if len(items) < MIN_KEYS or len(finals) < MIN_RUNS:
        return []
    keys = [SweptKey(item.key.key, tuple(item.key.texts[index] for index in finals)) for item in items[:MAX_AXES]]
    keys = [key for key in reversed(keys) if len(key.levels) > 1]
    chosen = {run.path for run in choice.group.runs} if choice and choice.group else set()
    bold = [setting.runs[index].path in chosen for index in finals]
    scores = list(finals.values())
    caption = "Every line is a run, from the values of its settings to its final score; blue is better."
    caption += " Thick: the runs of the selected method." if any(bold) and not all(bold) else ""
    caption += f" Of {len(items)} settings the {MAX_AXES} that explain most." if len(items) > MAX_AXES else ""
    draw = partial(draw_parallel, keys=keys, finals=scores, bold=bold)
    return [picture(f"{prefix}parallel", "From settings to score", caption, (10.0, 4.0), draw)]


def _finding(ranked: Sequence[Sensitivity], seeds: float | None) -> str:
    """Return the ranking in one sentence."""
    if not ranked:
        return ""
    shares = [(item.key.name, item.explained["final"] or 0.0, item.chance or 0.0) for item in ranked[:4]]
    name, share, chance = shares[0]
    words = f"By itself, {name} explains {share:.0%} of the variance of the final score ({chance:.0%} would be chance)"
    words += "".join(f", {name} {share:.0%} ({chance:.0%})" for name, share, chance in shares[1:])
    return words + (f"; {seeds:.0%} is between seeds of the same settings." if seeds is not None else ".")
