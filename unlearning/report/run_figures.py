"""Figures of one run: its training, the terms of its score, and what tells documents that were trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame, Series
from sklearn.metrics import roc_curve

from unlearning.evaluation.result import DocumentScore, EvaluationResult
from unlearning.evaluation.semeval import aggregate_terms, term_keys
from unlearning.report.score_tables import cell
from unlearning.report.style import DASHED, FORGET, GRID, INK, MUTED, RETAIN, SURFACE, WEIGHT, shared_legend

SHORT_NAMES = {"regurgitation": "R-L", "knowledge": "EM"}
MAX_PHASE_LINES = 40
LOWEST = 1e-3
"""Least rate of the logarithmic axes."""
_TICKS, _NAMES = (0.001, 0.01, 0.1, 1.0), ("0.1%", "1%", "10%", "100%")


def running_mean(values: Series) -> Series:
    """Return the mean over a window of a twentieth of the curve around each point, without missing values."""
    half = max(1, len(values) // 40)
    return values.rolling(2 * half + 1, center=True, min_periods=1).mean()


def draw_curves(figure: Any, curve: DataFrame) -> None:
    """Draw forget and retain loss over the steps, and the retain weight where it changes; see `details.read_curve`."""
    parts = [("Forget loss", "nats a token", "forget_loss_nats", FORGET)]
    if curve["retain_loss_nats"].notna().any():
        parts.append(("Retain loss", "nats a token", "retain_loss_nats", RETAIN))
    if curve["retain_weight"].nunique() > 1:
        parts.append(("Retain weight", "", "retain_weight", WEIGHT))
    starts = curve["step"][curve["phase"].diff().fillna(0) != 0]
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    for axis, (title, unit, name, colour) in zip(axes, parts, strict=True):
        for start in starts if len(starts) <= MAX_PHASE_LINES else []:
            axis.axvline(start, color=MUTED, alpha=0.45, linewidth=0.8, linestyle=DASHED)
        axis.plot(curve["step"], curve[name], color=colour, alpha=0.3, linewidth=1)
        axis.plot(curve["step"], running_mean(curve[name]), color=colour)
        axis.set(title=title, xlabel="step", ylabel=unit, xmargin=0.01)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def draw_terms(figure: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    """Draw the 12 terms of the task aggregate as bars with intervals; a bar at zero is marked, for it decides."""
    axis, keys = figure.subplots(), term_keys()
    places = np.arange(len(keys)) + [0.7 if key.startswith("retain") else 0.0 for key in keys]
    width = 0.82 / len(models)
    for number, (label, result) in enumerate(models.items()):
        values = np.array(aggregate_terms(result.metrics), dtype=float)
        ends = [{key: interval[end] for key, interval in result.intervals.items()} for end in (0, 1)]
        low, high = np.sort(np.array([aggregate_terms(end) for end in ends], dtype=float), axis=0)
        middles = places + (number - (len(models) - 1) / 2) * width
        axis.bar(middles, values, width * 0.9, color=colours[label], label=label)
        axis.vlines(middles, low, high, color=INK, linewidth=1.1, alpha=0.75)
        for place in np.flatnonzero(values <= 0):
            above = middles[place], np.nan_to_num(high[place]) + 0.012
            axis.text(*above, "0", ha="center", fontsize=7.5, fontweight="bold", color=colours[label])
    names = [key.split("_") for key in keys]
    axis.set_xticks(places, [f"{task}\n{SHORT_NAMES[measure]}" for _, task, measure in names])
    axis.set(ylim=(0, 1.14), yticks=np.arange(0, 1.01, 0.25), ylabel="term, higher is better", xmargin=0.02)
    axis.grid(axis="x", visible=False)
    for words, start in (("forget rows: 1 − score", places[0]), ("retain rows: score", places[6])):
        axis.text(start - 0.45, 1.07, words, color=MUTED, fontsize=8.5)
    shared_legend(figure, "upper right", len(models))


def draw_membership(figure: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    """Draw losses of members and non-members for each model, and all ROC curves on linear and logarithmic axes."""
    upper, lower = figure.subfigures(2, 1, height_ratios=(2.2, 2.9))
    axes = upper.subplots(1, len(models), squeeze=False)[0]
    for axis, (label, result) in zip(axes, models.items(), strict=True):
        axis.set_title(label, color=colours[label])
        _draw_losses(axis, result.membership)
    axes[0].set_ylabel("documents")
    axes[0].legend(loc="upper right", borderaxespad=0)
    _draw_rates(lower.subplots(1, 2), models, colours)


def _draw_losses(axis: Any, losses: Sequence[DocumentScore]) -> None:
    edges = np.histogram_bin_edges([item.loss_nats for item in losses], bins=18)
    for name, member, colour in (("members", True, FORGET), ("non-members", False, RETAIN)):
        own = [item.loss_nats for item in losses if item.member is member]
        axis.hist(own, edges, color=colour, alpha=0.6, label=name, edgecolor=SURFACE, linewidth=0.4)
    axis.set(xlabel="loss, nats a token", ylim=(0, 1.15 * axis.get_ylim()[1]))
    axis.grid(axis="x", visible=False)
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_rates(axes: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    """Draw the ROC curves; rates below one false positive are shaded, since so few non-members cannot show them."""
    for label, result in models.items():
        # The attacker calls a document a member if its loss is low.
        members, losses = zip(*((item.member, item.loss_nats) for item in result.membership), strict=True)
        false, true, _ = roc_curve(members, np.negative(losses))
        name = f"{label}\nAUC {' '.join(cell(result, 'mia_auc'))}".strip()
        for axis, drawstyle in zip(axes, ("default", "steps-post"), strict=True):
            axis.plot(false, true, color=colours[label], label=name, drawstyle=drawstyle)
    chance = (0, LOWEST, 1)
    for axis in axes:
        axis.plot(chance, chance, color=MUTED, linewidth=0.8, linestyle=DASHED, label="guessing\nAUC 0.50")
        axis.set(xlabel="false-positive rate", ylabel="true-positive rate")
    linear, logarithmic = axes
    linear.set(title="ROC of the loss", aspect="equal")
    # The step at the left edge is the rate without a single false positive.
    logarithmic.set(title="the same, low rates", xscale="log", yscale="log", xlim=(LOWEST, 1.15), ylim=(LOWEST, 1.3))
    others = min(sum(not item.member for item in result.membership) for result in models.values())
    if others * LOWEST < 1:
        one = 1 / max(1, others)
        logarithmic.axvspan(LOWEST, one, color=GRID, alpha=0.6, linewidth=0, zorder=0, label=f"below 1 of {others}")
    logarithmic.set_xticks(_TICKS, _NAMES)
    logarithmic.set_yticks(_TICKS, _NAMES)
    logarithmic.minorticks_off()
    logarithmic.tick_params(axis="x", pad=6)
    logarithmic.legend(loc="upper left", bbox_to_anchor=(1.02, 1), labelspacing=1.0)
