"""The freezing threshold against depth: tables and figure of experiments/freezing_depth; see experiments/study.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from experiments.freezing_depth.rules import (
    Effects,
    Scores,
    Transfer,
    best_count,
    law,
    resampled_laws,
    scores_of,
    transfers,
)
from experiments.study import COST, RUN, SCORES, Line, Study, grouped, markdown, mean, read_csv, with_half
from unlearning.report.statistic import student_half
from unlearning.report.style import METHODS, MUTED, Picture, picture

HERE = Path(__file__).parent
KEYS = ("task_aggregate", "mia_score", "utility", "retain_knowledge")


def effects() -> Effects:
    """Of effects.csv."""
    return {
        int(depth): [float(line["effect"]) for line in lines]
        for (depth,), lines in grouped(read_csv(HERE / "effects.csv"), "depth").items()
    }


@dataclass(frozen=True)
class Law:
    """k = a D^b, the best count k of first blocks at depth D, and 95% intervals."""

    best: Mapping[int, float]
    a: float
    b: float
    a_ends: tuple[float, float]
    b_ends: tuple[float, float]


def fitted(scores: Scores) -> Law:
    """To the means over seeds; intervals over resamples of seeds."""
    best = {depth: best_count({k: fmean(v) for k, v in by_count.items()}) for depth, by_count in scores.items()}
    low, high = np.percentile(np.array(resampled_laws(scores)), (2.5, 97.5), axis=0)
    return Law(best, *law(best), (low[0], high[0]), (low[1], high[1]))


def losses(found: Sequence[Transfer]) -> dict[str, list[Transfer]]:
    """By rule."""
    return {rule: [item for item in found if item.rule == rule] for rule in dict.fromkeys(item.rule for item in found)}


def table(lines: Sequence[Line]) -> str:
    """Scores by depth and count; the law; the rules."""
    rows = [
        [depth, blocks, with_half(runs, "final"), *(f"{mean(runs, key):.3f}" for key in KEYS)]
        for (depth, blocks), runs in grouped(lines, "depth", "blocks").items()
    ]
    text = markdown(["depth", "blocks trained", "final", *(key.replace("_", " ") for key in KEYS)], rows)
    scores = scores_of(lines)
    found = fitted(scores)
    counts = ", ".join(f"{count:.1f} of {depth}" for depth, count in found.best.items())
    ends = [f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in (("a", found.a_ends), ("b", found.b_ends))]
    text += f"\nBest counts: {counts}. Fitted law: k = {found.a:.2f} D^{found.b:.2f}"
    text += f" (95% of 2,000 resamples of seeds: {', '.join(ends)}).\n\n"
    rows = []
    for rule, own in losses(transfers(scores, effects())).items():
        cells = [f"{item.count} ({item.value:.3g}): {item.regret:.3f}" for item in own]
        rows.append([rule, *cells, f"{fmean(item.regret for item in own):.3f}"])
    headings = [f"depth {depth}: blocks (number): loss" for depth in scores]
    return text + markdown(["rule, set on the other depths", *headings, "mean loss"], rows)


def answer(lines: Sequence[Line]) -> str:
    """The law's exponent and each rule's loss."""
    scores = scores_of(lines)
    found = fitted(scores)
    means = {rule: fmean(item.regret for item in own) for rule, own in losses(transfers(scores, effects())).items()}
    told = ", ".join(f"{rule} {loss:.2f}" for rule, loss in sorted(means.items(), key=lambda item: item[1]))
    low, high = found.b_ends
    return (
        f"best count of first blocks ~ depth^{found.b:.2f} ({low:.2f} to {high:.2f}); "
        f"score lost by a rule set at other depths: {told}."
    )


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Score against the share of depth that is trained, and the traced effects."""
    return [
        picture(
            "depth",
            "Score and traced effect by depth",
            "Mean of three seeds with its 95% interval; on the right the effect of each block's MLP.",
            (10.5, 3.8),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Three panels; a colour a depth."""
    scores, traced = scores_of(lines), effects()
    left, middle, right = figure.subplots(1, 3)
    for colour, (depth, by_count) in zip(METHODS, scores.items(), strict=False):
        means = [fmean(finals) for finals in by_count.values()]
        halves = [student_half(finals) if len(finals) > 1 else 0.0 for finals in by_count.values()]
        for axis, places in ((left, list(by_count)), (middle, [count / depth for count in by_count])):
            axis.errorbar(
                places, means, yerr=halves, fmt="o-", color=colour, markersize=4, capsize=2, label=f"{depth} blocks"
            )
        total = sum(max(0.0, effect) for effect in traced[depth])
        held = np.cumsum([max(0.0, effect) for effect in traced[depth]]) / total
        right.plot(range(1, depth + 1), held, "o-", color=colour, markersize=3)
    left.set(title="By blocks trained", xlabel="first blocks trained", ylabel="final score", xscale="log")
    left.set_xticks([1, 2, 3, 4, 6, 8, 12], ["1", "2", "3", "4", "6", "8", "12"], minor=False)
    left.set_xticks([], minor=True)
    middle.set(title="By share of depth", xlabel="share of blocks trained", xlim=(0, 1.04))
    right.set(title="What tracing covers", xlabel="first blocks", ylabel="share of the positive indirect effect")
    right.axhline(0.9, color=MUTED, linewidth=0.8, linestyle="--")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)


COLUMNS = {**RUN, "depth": "model.blocks", "blocks": "scope.blocks", **SCORES, **COST}
STUDY = Study(HERE, "How many blocks, by depth?", answer, COLUMNS, table, pictures)

if __name__ == "__main__":
    STUDY.main()
