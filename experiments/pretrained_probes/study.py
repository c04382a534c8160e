"""Table and figure of experiments/pretrained_probes: what comes back in SmolLM2 (see experiments/study.py).

FOLDER has finished and probed runs, each in a folder NAME-SEED.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.probed_runs import LEAK, probed
from experiments.real_models.study import STUDY as BOARD
from experiments.real_models.study import of_board
from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import METHODS, Picture, picture

SCORES = ("task_aggregate", "neutral_nats")
PROBES = {
    "relearning": "relearning",
    "int8": "8 bits",
    "int4": "4 bits",
    "paraphrased": "other words",
    "primed": "first word given",
    "worst_case": "worst case",
    "recognition": "recognition",
}
REFERENCES = {"target": "untouched target", "retrained": "retrained model"}


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished and probed run, and one each for the target and the retrained model."""
    references: dict[str, Line] = {}
    lines: list[Line] = []
    for path in sorted(folder.glob("*/probes.json")):
        metrics = json.loads((path.parent / "metrics.json").read_text())
        setting, _, seed = path.parent.name.rpartition("-")
        scores = {key: f"{metrics['unlearned'][key]:.4f}" for key in SCORES}
        lines.append({"setting": setting, "seed": seed, **scores, **probed(path.parent, "unlearned", PROBES)})
        references = {name: {"setting": name, "seed": "", **probed(path.parent, name, PROBES)} for name in REFERENCES}
    return [*references.values(), *lines]


def by_setting(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the lines by setting: target and retrained model, then the methods, the lowest worst case first."""
    groups = {name: runs for (name,), runs in group_by(lines, "setting").items()}
    methods = sorted((name for name in groups if name not in REFERENCES), key=lambda name: _worst(groups[name]))
    return {name: groups[name] for name in (*REFERENCES, *methods)}


def _worst(runs: Sequence[Line]) -> float:
    return mean(runs, "worst_case")


def table(lines: Sequence[Line]) -> str:
    """Return a row for each setting, with its final score on the larger board where it was run there."""
    board = of_board(BOARD.lines())
    rows, finals = [], {name: mean(runs, "final") for (name,), runs in group_by(board, "method").items()}
    for name, runs in by_setting(lines).items():
        scores = ["" if name in REFERENCES else f"{mean(runs, key):.3f}" for key in SCORES]
        found = [f"{mean(runs, key):.3f}" for key in PROBES]
        final = f"{finals[name]:.3f}" if name in finals else ""
        rows.append([REFERENCES.get(name, f"`{name}`"), final, *scores, *found, f"{mean(runs, 'leak'):.0e}"])
    headings = ["model", "final (larger board)", "task aggregate", "neutral loss, nats", *PROBES.values()]
    return markdown([*headings, LEAK], rows)


def answer(lines: Sequence[Line]) -> str:
    """Give the worst case of each model."""
    named = (f"{REFERENCES.get(name, f'`{name}`')} {_worst(runs):.2f}" for name, runs in by_setting(lines).items())
    return f"share of the forgotten questions that some probe brings back: {', '.join(named)}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of what each probe brings back."""
    caption = "Share of the forgotten questions that a probe brings back; recognition: a guess has 0.25."
    return [picture("recovered", "What comes back", caption, (9.0, 3.8), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw the value of each probe, one colour for each model."""
    axis = figure.subplots()
    groups = by_setting(lines)
    width = 0.8 / len(groups)
    for place, ((name, runs), colour) in enumerate(zip(groups.items(), METHODS, strict=False)):
        at = [number + place * width for number in range(len(PROBES))]
        axis.bar(at, [mean(runs, key) for key in PROBES], width, color=colour, label=REFERENCES.get(name, name))
    middles = [number + (len(groups) - 1) * width / 2 for number in range(len(PROBES))]
    axis.set_xticks(middles, [title.replace(" ", "\n") for title in PROBES.values()])
    axis.set(ylabel="score", ylim=(0, 1.03))
    figure.legend(loc="outside right upper")


STUDY = Study(
    folder=Path(__file__).parent,
    question="Is it gone from a pretrained model?",
    answer=answer,
    columns={key: key for key in ("setting", "seed", *SCORES, *PROBES, "leak")},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
