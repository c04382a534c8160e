"""Table and figure of experiments/pretrained_depth: how many first layers must move in pretrained models.

experiments/study.py says what a study is.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.freezing_depth.rules import REACHED, threshold
from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import METHODS, MUTED, Picture, picture

MODELS = {"smollm2_135m": ("SmolLM2-135M", 30), "gemma3_270m": ("Gemma 3 270M", 18)}
"""Name and number of layers of each model."""
SCORE = "task_aggregate"
"""The final score also holds a membership score, for which two documents of each task are too few, and MMLU, which is
at chance in these models."""
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
    "1,8,12,13,24,27": "drawn at random",
}
"""Value of scope.layers -> how these six layers of SmolLM2 were chosen; experiments/pretrained_facts has the traces."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished run in the folder."""
    return [_line(path.parent) for path in sorted(folder.glob("*/metrics.json"))]


def _line(run: Path) -> Line:
    config, scores = settings_and_scores(run)
    return {
        "model": config["model"]["name"],
        "layers": config["scope"]["layers"],
        "seed": str(config["seed"]),
        **scores,
    }


def settings_and_scores(run: Path) -> tuple[dict[str, Any], Line]:
    """Return a run's config.yaml, and what was measured, with the cost of training."""
    metrics = json.loads((run / "metrics.json").read_text())
    config = yaml.safe_load((run / "config.yaml").read_text())
    scores, training = metrics["unlearned"], metrics["training"]
    own = {key: f"{scores[key]:.4f}" for key in MEASURED}
    cost = {"trained_parameters": str(training["trainable_parameters"]), "seconds": f"{training['seconds']:.0f}"}
    return config, own | cost


def measured_models(lines: Sequence[Line]) -> list[str]:
    """Return the models that have lines, in the order of `MODELS`."""
    return [model for model in MODELS if any(line["model"] == model for line in lines)]


def by_count(lines: Sequence[Line], model: str) -> dict[int, list[Line]]:
    """Return a model's lines by the number of first layers that moved, the smallest first."""
    groups = group_by([line for line in lines if line["model"] == model and line["layers"].startswith("0-")], "layers")
    return dict(sorted((int(layers.rpartition("-")[2]) + 1, runs) for (layers,), runs in groups.items()))


def by_choice(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return SmolLM2's lines of six layers by how these were chosen, the highest score first."""
    own = group_by([line for line in lines if line["model"] == "smollm2_135m"], "layers")
    groups = {CHOICES[layers]: runs for (layers,), runs in own.items() if layers in CHOICES}
    return dict(sorted(groups.items(), key=lambda item: -mean(item[1], SCORE)))


def reached(lines: Sequence[Line], model: str) -> float:
    """Return the number of first layers that reaches REACHED of the score of all layers of a model."""
    return threshold({count: mean(runs, SCORE) for count, runs in by_count(lines, model).items()})


def table(lines: Sequence[Line]) -> str:
    """Return for each model a row for each number of layers and the threshold; then a row for each six layers."""
    text = ""
    for model in measured_models(lines):
        name, depth = MODELS[model]
        rows = [
            [f"{count}", f"{float(runs[0]['trained_parameters']):,.0f}", *cells(runs)]
            for count, runs in by_count(lines, model).items()
        ]
        text += markdown([f"{name}: first layers", "trained weights", *SHOWN.values()], rows)
        first = f"the first {reached(lines, model):.1f} of {depth}"
        text += f"\n{REACHED:.0%} of the task aggregate of all layers: {first}.\n\n"
    chosen = [[how, runs[0]["layers"], *cells(runs)] for how, runs in by_choice(lines).items()]
    return text + markdown(["SmolLM2-135M: six layers", "which", *SHOWN.values()], chosen)


def cells(runs: Sequence[Line]) -> list[str]:
    """Return the means of what a table shows."""
    return [f"{mean(runs, key):.0f}" if key == "seconds" else f"{mean(runs, key):.3f}" for key in SHOWN]


def answer(lines: Sequence[Line]) -> str:
    """Give the scores by number of layers and the threshold of each model, and what six layers cost."""
    sentences = [_answer_of(lines, model) for model in measured_models(lines)]
    nats = {runs[0]["layers"]: mean(runs, "neutral_nats") for runs in by_choice(lines).values()}
    first, others = nats.pop("0-5"), nats.values()
    least, most = f"{min(others):.1f}", f"{max(others):.1f}"
    text = f"Other text: {first:.1f} nats with SmolLM2's first six, {least} to {most} with six others."
    return " ".join([*sentences, text])


def _answer_of(lines: Sequence[Line], model: str) -> str:
    """Give a model's threshold, and its scores by number of layers."""
    name, depth = MODELS[model]
    means = ", ".join(f"{count} {mean(runs, SCORE):.2f}" for count, runs in by_count(lines, model).items())
    first = f"The first {reached(lines, model):.1f} of {depth} layers of {name}"
    return f"{first} reach {REACHED:.0%} of the task aggregate of all (layers and score: {means})."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of scores and of the loss of other text by the number of first layers."""
    caption = "MLPs of the first layers move."
    size = (9.0, 3.6 * len(measured_models(lines)))
    return [picture("threshold", "Scores by layers", caption, size, lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw, for each model in a row, what is forgotten and kept on the left, other text on the right."""
    models = measured_models(lines)
    rows = figure.subplots(len(models), 2, squeeze=False)
    for (left, right), model in zip(rows, models, strict=True):
        groups = by_count(lines, model)
        panels = {left: ("task_aggregate", "forget_regurgitation", "retain_regurgitation"), right: ("neutral_nats",)}
        for axis, keys in panels.items():
            for key, colour in zip(keys, METHODS, strict=False):
                values = [mean(runs, key) for runs in groups.values()]
                axis.plot(list(groups), values, "o-", color=colour, markersize=4, label=SHOWN[key])
            axis.set(xlabel=f"first layers of {MODELS[model][0]} whose MLPs move", xscale="log")
            axis.set_xticks(list(groups), [str(count) for count in groups])
            axis.set_xticks([], minor=True)
        left.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
        left.set(ylabel="score", ylim=(-0.03, 1.05))
        right.set(ylabel="loss of text that no set holds, nats")
    rows[0][0].legend(loc="best")


STUDY = Study(
    folder=Path(__file__).parent,
    question="How many layers of a pretrained model must move?",
    answer=answer,
    columns={key: key for key in ("model", "layers", "seed", *MEASURED, "trained_parameters", "seconds")},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
