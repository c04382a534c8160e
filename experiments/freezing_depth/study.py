"""Tables and figure of experiments/freezing_depth: the freezing threshold against depth (see experiments/study.py)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from experiments.freezing_depth.rules import (
    REACHED,
    Effects,
    Scores,
    Transfer,
    law,
    means_of,
    resampled_laws,
    scores_of,
    threshold,
    transfers,
)
from experiments.study import COST, RUN, SCORES, Line, Study, group_by, markdown, mean, mean_with_interval, read_csv
from unlearning.report.statistic import student_half
from unlearning.report.style import METHODS, MUTED, Picture, picture

HERE = Path(__file__).parent
SCORED = {"final": "final score", "task_aggregate": "task aggregate"}
TICKS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
KEYS = ("task_aggregate", "mia_score", "utility", "retain_knowledge")


def effects() -> Effects:
    """Return the traced effects of each depth from effects.csv."""
    return {
        int(depth): [float(line["effect"]) for line in lines]
        for (depth,), lines in group_by(read_csv(HERE / "effects.csv"), "depth").items()
    }


@dataclass(frozen=True)
class Law:
    """The law k = a D^b of the threshold k at depth D, with the 95% intervals of a and b."""

    thresholds: Mapping[int, float]
    a: float
    b: float
    a_ends: tuple[float, float]
    b_ends: tuple[float, float]


def fit_law(scores: Scores) -> Law:
    """Fit the law to the means over seeds; its intervals are over resamples of seeds."""
    found = {depth: threshold(means) for depth, means in means_of(scores).items()}
    low, high = np.percentile(np.array(resampled_laws(scores)), (2.5, 97.5), axis=0)
    return Law(found, *law(found), (low[0], high[0]), (low[1], high[1]))


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Return the lines in the order of depth and number of layers."""
    return sorted(lines, key=lambda line: (int(line["depth"]), int(line["layers"].rpartition("-")[2])))


def by_rule(found: Sequence[Transfer]) -> dict[str, list[Transfer]]:
    """Return the results of each rule, in the order of their first ones."""
    return {rule: [item for item in found if item.rule == rule] for rule in dict.fromkeys(item.rule for item in found)}


def mean_factor(own: Sequence[Transfer]) -> float:
    """Return the geometric mean of the factors over depths."""
    return math.exp(fmean(math.log(item.factor) for item in own))


def table(lines: Sequence[Line]) -> str:
    """Return the README's tables: scores by depth and layers, then law and rules for each of two scores."""
    rows = [
        [depth, layers, mean_with_interval(runs, "final"), *(f"{mean(runs, key):.3f}" for key in KEYS)]
        for (depth, layers), runs in group_by(in_order(lines), "depth", "layers").items()
    ]
    text = markdown(["depth", "layers trained", "final", *(key.replace("_", " ") for key in KEYS)], rows)
    return text + "".join(law_and_rules(key, words, scores_of(lines, key)) for key, words in SCORED.items())


def law_and_rules(key: str, words: str, scores: Scores) -> str:
    """Return the thresholds, the fitted law and the table of rules for one score."""
    found = fit_law(scores)
    counts = ", ".join(f"{count:.1f} of {depth}" for depth, count in found.thresholds.items())
    ends = [f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in (("a", found.a_ends), ("b", found.b_ends))]
    text = f"\nBy {words}: thresholds {counts}; fitted k = {found.a:.2f} D^{found.b:.2f}"
    text += f" (95% of 2,000 resamples of seeds: {', '.join(ends)}).\n\n"
    rows = []
    for rule, own in by_rule(transfers(scores, effects())).items():
        cells = [f"{item.value:.3g}: {item.count} layers, {item.reached:.0%}" for item in own]
        rows.append([rule, *cells, f"{mean_factor(own):.2f}"])
    headings = [f"depth {depth}: number, layers, share reached" for depth in scores]
    return text + markdown(
        [f"rule for {key.replace('_', ' ')}, set on the other depths", *headings, "off by a factor"], rows
    )


def answer(lines: Sequence[Line]) -> str:
    """Give the law with its exponent, and the error of each rule."""
    scores = scores_of(lines, "final")
    found = fit_law(scores)
    means = {rule: mean_factor(own) for rule, own in by_rule(transfers(scores, effects())).items()}
    parts = ", ".join(f"{rule} {factor:.2f}" for rule, factor in sorted(means.items(), key=lambda item: item[1]))
    low, high = found.b_ends
    return (
        f"{REACHED:.0%} of the score of all layers takes the first {found.a:.2f} D^{found.b:.2f} of D "
        f"(exponent {low:.2f} to {high:.2f}); a rule set at other depths is off by a factor: {parts}."
    )


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the score against the layers that are trained, beside the traced effects."""
    return [
        picture(
            "depth",
            "Score and traced effect by depth",
            "Mean of three seeds with its 95% interval; on the right the effect of each layer's MLP.",
            (10.5, 3.8),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw three panels, with a colour for each depth."""
    scores, traced = scores_of(lines, "final"), effects()
    left, middle, right = figure.subplots(1, 3)
    for colour, (depth, by_count) in zip(METHODS, scores.items(), strict=False):
        means = [fmean(finals) for finals in by_count.values()]
        halves = [student_half(finals) if len(finals) > 1 else 0.0 for finals in by_count.values()]
        for axis, places in ((left, list(by_count)), (middle, [count / depth for count in by_count])):
            axis.errorbar(
                places, means, yerr=halves, fmt="o-", color=colour, markersize=4, capsize=2, label=f"{depth} layers"
            )
        total = sum(max(0.0, effect) for effect in traced[depth])
        held = np.cumsum([max(0.0, effect) for effect in traced[depth]]) / total
        right.plot(range(1, depth + 1), held, "o-", color=colour, markersize=3)
    left.set(title="By layers trained", xlabel="first layers trained", ylabel="final score", xscale="log")
    left.set_xticks(TICKS, [str(tick) for tick in TICKS])
    left.set_xticks([], minor=True)
    middle.set(title="By share of depth", xlabel="share of layers trained", xlim=(0, 1.04))
    right.set(title="What tracing covers", xlabel="first layers", ylabel="share of the positive indirect effect")
    right.axhline(0.9, color=MUTED, linewidth=0.8, linestyle="--")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)


COLUMNS = {**RUN, "depth": "model.layers", "layers": "scope.layers", **SCORES, **COST}
STUDY = Study(
    folder=HERE,
    question="How many layers, by depth?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
)

if __name__ == "__main__":
    STUDY.main()
