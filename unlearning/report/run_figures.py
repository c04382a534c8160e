"""Figures of one run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame, Series

from unlearning.evaluation.result import TASKS, EvaluationResult
from unlearning.report.runs import Metrics
from unlearning.report.style import FORGET, INK, MUTED, RETAIN, WEIGHT

TERMS = [
    (split, task, metric)
    for split in ("forget", "retain")
    for task in TASKS
    for metric in ("regurgitation", "knowledge")
]
MAX_PHASE_LINES = 40


def term(metrics: Metrics, split: str, task: str, metric: str) -> float:
    """Return one of the 12 terms of the harmonic mean, higher is better: 1 - score on forget rows; NaN if missing."""
    value = metrics.get(f"{split}_{task}_{metric}")
    if value is None:
        return math.nan
    return 1 - value if split == "forget" else value


def draw_curves(figure: Any, curve: DataFrame) -> None:
    """Draw forget and retain loss over the steps, and the retain weight where it changes; see `details.read_curve`."""
    parts = [("Forget loss", "nats a token", "forget_loss_nats", FORGET)]
    if curve["retain_loss_nats"].notna().any():
        parts.append(("Retain loss", "nats a token", "retain_loss_nats", RETAIN))
    if curve["retain_weight"].nunique() > 1:
        parts.append(("Retain weight", "", "retain_weight", WEIGHT))
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    starts = curve["step"][curve["phase"].diff().fillna(0) != 0]
    for axis, (title, unit, name, colour) in zip(axes, parts, strict=True):
        for start in starts if len(starts) <= MAX_PHASE_LINES else []:
            axis.axvline(start, color=MUTED, alpha=0.45, linewidth=0.8, linestyle=(0, (3, 3)))
        axis.plot(curve["step"], curve[name], color=colour, alpha=0.3, linewidth=1)
        axis.plot(curve["step"], running_mean(curve[name]), color=colour)
        axis.set(title=title, xlabel="step", ylabel=unit)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.margins(x=0.01)


def running_mean(values: Series) -> Series:
    """Return the mean over a window of a twentieth of the curve around each point, without missing values."""
    half = max(1, len(values) // 40)
    return values.rolling(2 * half + 1, center=True, min_periods=1).mean()


def term_interval(intervals: Mapping[str, Sequence[float]], split: str, task: str, metric: str) -> tuple[float, float]:
    """Return the ends of the term's 95% interval, the lower one first; NaN where there is none."""
    low, high = intervals.get(f"{split}_{task}_{metric}", (math.nan, math.nan))
    return (1 - high, 1 - low) if split == "forget" else (low, high)


def draw_terms(figure: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    """Draw the 12 terms of the task aggregate as bars with intervals; a bar at zero is marked, for it decides."""
    axis = figure.subplots()
    places = [index + (0.7 if split == "retain" else 0.0) for index, (split, _, _) in enumerate(TERMS)]
    width = 0.82 / max(1, len(models))
    for number, (label, result) in enumerate(models.items()):
        values = [term(result.metrics, *name) for name in TERMS]
        middles = [place + (number - (len(models) - 1) / 2) * width for place in places]
        axis.bar(middles, values, width * 0.9, color=colours[label], label=label)
        lows, highs = zip(*(term_interval(result.intervals, *name) for name in TERMS), strict=True)
        axis.vlines(middles, lows, highs, color=INK, linewidth=1.1, alpha=0.75)
        for middle, value, high in zip(middles, values, highs, strict=True):
            if value <= 0:
                place = 0.012 if math.isnan(high) else high + 0.012
                axis.text(middle, place, "0", ha="center", fontsize=7.5, fontweight="bold", color=colours[label])
    axis.set_xticks(places, [f"{task}\n{'R-L' if metric == 'regurgitation' else 'EM'}" for _, task, metric in TERMS])
    axis.set(ylim=(0, 1.14), ylabel="term, higher is better")
    axis.set_yticks(np.arange(0, 1.01, 0.25))
    axis.grid(axis="x", visible=False)
    for split, start in (("forget rows: 1 − score", places[0]), ("retain rows: score", places[6])):
        axis.text(start - 0.45, 1.07, split, color=MUTED, fontsize=8.5)
    axis.margins(x=0.02)
    figure.legend(loc="outside upper right", ncols=len(models))
