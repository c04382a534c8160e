"""Table and figure of experiments/pretrained_depth: the freezing threshold on SmolLM2 (see experiments/study.py)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.freezing_depth.rules import REACHED, threshold
from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import METHODS, MUTED, Picture, picture

DEPTH = 30
"""Layers of SmolLM2-135M."""
SCORE = "task_aggregate"
"""The final score also holds a membership score, for which two documents of each task are too few, and MMLU, which is
at chance in this model."""
SHOWN = {
    "task_aggregate": "task aggregate",
    "forget_knowledge": "forget EM",
    "forget_regurgitation": "forget R-L",
    "retain_knowledge": "retain EM",
    "retain_regurgitation": "retain R-L",
    "neutral_nats": "neutral loss, nats",
    "seconds": "seconds",
}
MEASURED = [key for key in SHOWN if key != "seconds"]
CHOICES = {
    "0-5": "first; traced by another name",
    "12-17": "middle",
    "24-29": "last",
    "19-22,24,29": "traced by weights from before",
    "0,6,11,22,23,28": "gradient's norm",
}
"""Value of scope.layers -> how these six layers were chosen; experiments/pretrained_facts has the traces."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished run in the folder."""
    return [_line(path.parent) for path in sorted(folder.glob("*/metrics.json"))]


def _line(run: Path) -> Line:
    config, scores = settings_and_scores(run)
    return {"layers": config["scope"]["layers"], "seed": str(config["seed"]), **scores}


def settings_and_scores(run: Path) -> tuple[dict[str, Any], Line]:
    """Return a run's config.yaml, and what was measured, with the cost of training."""
    metrics = json.loads((run / "metrics.json").read_text())
    config = yaml.safe_load((run / "config.yaml").read_text())
    scores, training = metrics["unlearned"], metrics["training"]
    own = {key: f"{scores[key]:.4f}" for key in MEASURED}
    cost = {"trained_parameters": str(training["trainable_parameters"]), "seconds": f"{training['seconds']:.0f}"}
    return config, own | cost


def by_count(lines: Sequence[Line]) -> dict[int, list[Line]]:
    """Return the lines by the number of first layers that moved, the smallest first."""
    groups = group_by([line for line in lines if line["layers"].startswith("0-")], "layers")
    return dict(sorted((int(layers.rpartition("-")[2]) + 1, runs) for (layers,), runs in groups.items()))


def by_choice(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the lines of six layers by how these were chosen, the highest score first."""
    groups = {CHOICES[layers]: runs for (layers,), runs in group_by(lines, "layers").items() if layers in CHOICES}
    return dict(sorted(groups.items(), key=lambda item: -mean(item[1], SCORE)))


def reached(lines: Sequence[Line]) -> float:
    """Return the number of first layers that reaches REACHED of the score of all layers."""
    return threshold({count: mean(runs, SCORE) for count, runs in by_count(lines).items()})


def table(lines: Sequence[Line]) -> str:
    """Return a row for each number of layers, the threshold, and a row for each choice of six layers."""
    rows = []
    for count, runs in by_count(lines).items():
        rows.append([f"{count}", f"{float(runs[0]['trained_parameters']):,.0f}", *cells(runs)])
    text = markdown(["first layers", "trained weights", *SHOWN.values()], rows)
    text += f"\n{REACHED:.0%} of the task aggregate of all layers: the first {reached(lines):.1f} of {DEPTH}.\n\n"
    chosen = [[how, runs[0]["layers"], *cells(runs)] for how, runs in by_choice(lines).items()]
    return text + markdown(["six layers", "which", *SHOWN.values()], chosen)


def cells(runs: Sequence[Line]) -> list[str]:
    """Return the means of what a table shows."""
    return [f"{mean(runs, key):.0f}" if key == "seconds" else f"{mean(runs, key):.3f}" for key in SHOWN]


def answer(lines: Sequence[Line]) -> str:
    """Give the score by number of layers, and the threshold."""
    means = ", ".join(f"{count} layers {mean(runs, SCORE):.2f}" for count, runs in by_count(lines).items())
    nats = {runs[0]["layers"]: mean(runs, "neutral_nats") for runs in by_choice(lines).values()}
    first, others = nats.pop("0-5"), nats.values()
    text = f"task aggregate {means}; {REACHED:.0%} of the score of all {DEPTH} takes the first {reached(lines):.1f}. "
    return (
        text
        + f"Other text: {first:.1f} nats with the first six, {min(others):.1f} to {max(others):.1f} with six others."
    )


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of scores and of the loss of other text by the number of first layers."""
    caption = f"MLPs of the first layers of {DEPTH} move."
    return [picture("threshold", "Scores by layers", caption, (9.0, 3.6), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw what is forgotten and kept on the left, other text on the right."""
    left, right = figure.subplots(1, 2)
    groups = by_count(lines)
    panels = {left: ("task_aggregate", "forget_regurgitation", "retain_regurgitation"), right: ("neutral_nats",)}
    for axis, keys in panels.items():
        for key, colour in zip(keys, METHODS, strict=False):
            values = [mean(runs, key) for runs in groups.values()]
            axis.plot(list(groups), values, "o-", color=colour, markersize=4, label=SHOWN[key])
        axis.set(xlabel="first layers whose MLPs move", xscale="log")
        axis.set_xticks(list(groups), [str(count) for count in groups])
        axis.set_xticks([], minor=True)
    left.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
    left.set(ylabel="score", ylim=(-0.03, 1.05))
    right.set(ylabel="loss of text that no set holds, nats")
    left.legend(loc="best")


STUDY = Study(
    folder=Path(__file__).parent,
    question="How many of thirty pretrained layers must move?",
    answer=answer,
    columns={key: key for key in ("layers", "seed", *MEASURED, "trained_parameters", "seconds")},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
