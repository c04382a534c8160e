"""Figures of membership inference: what tells documents that were trained on from others, and how well."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from unlearning.evaluation.result import DocumentScore, EvaluationResult
from unlearning.report.style import GRID, MEMBER, MUTED, NONMEMBER, SURFACE

LOWEST = 1e-3
"""Least rate of the logarithmic axes."""
FEW = 200
"""Non-members below which there is room to say how many there are."""
WIDTH = 10.0
_TICKS, _NAMES = (0.001, 0.01, 0.1, 1.0), ("0.1%", "1%", "10%", "100%")
_DASHED = (0, (3, 3))


def membership_size(models: int) -> tuple[float, float]:
    """Return the inches: one model's panels stand side by side, several models' losses above their curves."""
    return (WIDTH, 2.9 if models == 1 else 5.4)


def draw_membership(figure: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    """Draw losses of members and non-members for each model, and all ROC curves on linear and logarithmic axes."""
    if len(models) == 1:
        losses, linear, logarithmic = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        above = [losses]
    else:
        upper, lower = figure.subfigures(2, 1, height_ratios=(2.2, 2.9))
        above = list(upper.subplots(1, len(models)))
        linear, logarithmic, names = lower.subplots(1, 3, width_ratios=(1, 1, 0.75))
        _name_curves(names, models, colours)
    for axis, (label, result) in zip(above, models.items(), strict=True):
        axis.set_title(label if len(models) > 1 else f"{label}: {area(result)}", color=colours[label])
        _draw_losses(axis, result.membership)
        false, true = roc_points(result.membership)
        linear.plot(false, true, color=colours[label])
        # The step at the left edge is the rate without a single false positive.
        logarithmic.plot(
            np.maximum(false, LOWEST / 10), np.maximum(true, LOWEST / 10), color=colours[label], drawstyle="steps-post"
        )
    above[0].set_ylabel("documents")
    above[0].legend(loc="upper right", borderaxespad=0)
    _finish_linear(linear)
    _finish_logarithmic(logarithmic, min(_others(result.membership) for result in models.values()))


def area(result: EvaluationResult) -> str:
    """Return the area under the ROC curve of the loss, with its interval."""
    value = result.metrics.get("mia_auc")
    text = "AUC -" if value is None else f"AUC {value:.2f}"
    if "mia_auc" in result.intervals:
        low, high = result.intervals["mia_auc"]
        text += f" [{low:.2f}, {high:.2f}]"
    return text


def roc_points(losses: Sequence[DocumentScore]) -> tuple[list[float], list[float]]:
    """Return (false, true) positive rates of "a member, for its loss is low", as the threshold rises."""
    false, true, _ = roc_curve([item.member for item in losses], [-item.loss_nats for item in losses])
    return false.tolist(), true.tolist()


def _others(losses: Sequence[DocumentScore]) -> int:
    return max(1, sum(not item.member for item in losses))


def _draw_losses(axis: Any, losses: Sequence[DocumentScore]) -> None:
    edges = np.histogram_bin_edges([item.loss_nats for item in losses], bins=18)
    for name, member, colour in (("members", True, MEMBER), ("non-members", False, NONMEMBER)):
        there = [item.loss_nats for item in losses if item.member is member]
        axis.hist(there, bins=edges, color=colour, alpha=0.6, label=name, edgecolor=SURFACE, linewidth=0.4)
    axis.set_xlabel("loss, nats a token")
    axis.grid(axis="x", visible=False)
    axis.set_ylim(0, axis.get_ylim()[1] * 1.15)
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _finish_linear(axis: Any) -> None:
    axis.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=_DASHED, zorder=1)
    axis.set(title="ROC of the loss", xlabel="false-positive rate", ylabel="true-positive rate")
    axis.set_aspect("equal")


def _finish_logarithmic(axis: Any, others: int) -> None:
    """Set up the axis; rates below one false positive are shaded, since so few non-members cannot show them."""
    axis.plot([LOWEST, 1], [LOWEST, 1], color=MUTED, linewidth=0.8, linestyle=_DASHED, zorder=1)
    axis.set(xscale="log", yscale="log", xlim=(LOWEST, 1.15), ylim=(LOWEST, 1.3))
    axis.set(title="the same, low rates", xlabel="false-positive rate", ylabel="true-positive rate")
    if 1 / others > LOWEST:
        axis.axvspan(LOWEST, 1 / others, color=GRID, alpha=0.6, linewidth=0, zorder=0)
        if others < FEW:
            axis.text(0.92 / others, LOWEST * 1.3, f"below 1 of {others}", color=MUTED, fontsize=7.5, ha="right")
    axis.set_xticks(_TICKS, _NAMES)
    axis.set_yticks(_TICKS, _NAMES)
    axis.minorticks_off()
    axis.tick_params(axis="x", pad=6)


def _name_curves(axis: Any, models: Mapping[str, EvaluationResult], colours: Mapping[str, str]) -> None:
    axis.axis("off")
    for index, (label, result) in enumerate(models.items()):
        y = 0.92 - 0.24 * index
        axis.text(0.0, y, label, color=colours[label], fontweight="bold", transform=axis.transAxes, va="center")
        axis.text(0.0, y - 0.09, area(result), color=MUTED, fontsize=8.5, transform=axis.transAxes, va="center")
    y = 0.92 - 0.24 * len(models)
    axis.text(0.0, y, "dashed: guessing, AUC 0.50", color=MUTED, fontsize=8, transform=axis.transAxes, va="center")
