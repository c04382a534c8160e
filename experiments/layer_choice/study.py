"""Table and figure of experiments/layer_choice: does tracing help? (see experiments/study.py)"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.study import (
    COST,
    KEYS,
    PANELS,
    RUN,
    SCORES,
    Line,
    Study,
    draw_runs,
    group_by,
    markdown,
    mean,
    mean_with_interval,
    ranked_means,
)
from unlearning.report.style import METHODS, MUTED, Picture, picture

CHOICES = {
    "0-2": "traced by noise",
    "0,1,7": "weights exchanged",
    "0,2,3": "gradient's norm",
    "0,3,4": "Fisher information",
    "2-4": "the middle",
    "5-7": "the last",
    "4,5,7": "random",
    "1,4,6": "random",
    "1,2,6": "random",
    "all": "all eight",
}
"""Value of scope.layers -> how these layers were chosen of the eight."""


def setting(line: Line) -> str:
    """Return how the layers of a run were chosen, and which they are."""
    return f"{CHOICES[line['layers']]} ({line['layers']})"


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each method and choice, in the order of the final score."""
    rows = []
    for (method,), own in group_by(lines, "method").items():
        for runs in sorted(group_by(own, "layers").values(), key=lambda runs: -mean(runs, "final")):
            cells = [f"{mean(runs, key):.3f}" for key in KEYS]
            rows.append([f"`{method}`", setting(runs[0]), mean_with_interval(runs, "final"), *cells])
    return markdown(["method", "layers", "final", *(key.replace("_", " ") for key in KEYS)], rows)


def answer(lines: Sequence[Line]) -> str:
    """Give the final scores by way of choosing; the random choices count as one."""
    parts = []
    for (method,), own in group_by(lines, "method").items():
        rules: dict[str, list[Line]] = {}
        for (layers,), runs in group_by(own, "layers").items():
            rules.setdefault(CHOICES[layers].removeprefix("the "), []).extend(runs)
        parts.append(f"`{method}`: {ranked_means(rules, 'final')}")
    return "final score, " + "; ".join(parts) + "."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the final score and its parts by choice of layers."""
    return [
        picture(
            "choices",
            "Scores by choice of layers",
            "Mean of three seeds with its 95% interval; dots are single runs.",
            (10.5, 4.2),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a panel for each part of the score, a row for each choice, in a colour for each method."""
    groups, methods = group_by(lines, "method", "layers"), list(dict.fromkeys(line["method"] for line in lines))
    for axis, (key, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        axis.set(title=title, xlim=(-0.04, 1.04))
        for place, layers in enumerate(CHOICES):
            for index, method in enumerate(methods):
                if runs := groups.get((method, layers)):
                    draw_runs(axis, runs, key, place + 0.18 * (2 * index - len(methods) + 1), METHODS[index])
    axis = figure.axes[0]
    axis.set_yticks(range(len(CHOICES)), [setting({"layers": layers}) for layers in CHOICES], color=MUTED)
    axis.invert_yaxis()
    for index, method in enumerate(methods):
        axis.plot([], [], "o", color=METHODS[index], label=method)
    figure.legend(loc="outside lower center", ncols=len(methods))


STUDY = Study(
    folder=Path(__file__).parent,
    question="Does tracing help?",
    answer=answer,
    columns={**RUN, "layers": "scope.layers", **SCORES, **COST},
    table=table,
    pictures=pictures,
)

if __name__ == "__main__":
    STUDY.main()
