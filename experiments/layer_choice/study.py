"""Does tracing help? Tables and figure of experiments/layer_choice; see experiments/study.py for the command."""

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
    grouped,
    listed,
    markdown,
    mean,
    with_half,
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
"""How three of the eight layers were chosen, by scope.layers."""


def setting(line: Line) -> str:
    """How the run's layers were chosen, and which they are."""
    return f"{CHOICES[line['layers']]} ({line['layers']})"


def table(lines: Sequence[Line]) -> str:
    """One row a method and choice, in the order of the final score."""
    rows = []
    for (method,), own in grouped(lines, "method").items():
        for runs in sorted(grouped(own, "layers").values(), key=lambda runs: -mean(runs, "final")):
            cells = [f"{mean(runs, key):.3f}" for key in KEYS]
            rows.append([f"`{method}`", setting(runs[0]), with_half(runs, "final"), *cells])
    return markdown(["method", "layers", "final", *(key.replace("_", " ") for key in KEYS)], rows)


def answer(lines: Sequence[Line]) -> str:
    """Final scores by rule; the random choices together."""
    told = []
    for (method,), own in grouped(lines, "method").items():
        rules: dict[str, list[Line]] = {}
        for (layers,), runs in grouped(own, "layers").items():
            rules.setdefault(CHOICES[layers].removeprefix("the "), []).extend(runs)
        told.append(f"`{method}`: {listed(rules, 'final')}")
    return "final score, " + "; ".join(told) + "."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """The score and its parts by choice, a colour a method."""
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
    """A panel a part of the score, a row a choice."""
    groups, methods = grouped(lines, "method", "layers"), list(dict.fromkeys(line["method"] for line in lines))
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
