"""Table and figure of experiments/chunking: chunk size, retain ratio, rank, last k layers.

See experiments/study.py for the command.
"""

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
    finished_runs,
    group_by,
    markdown,
    mean,
    mean_with_interval,
    ranked_means,
)
from unlearning.report.style import METHODS, Picture, picture

ROWS = 120
"""Rows of the forget set. A chunk of so many rows is the whole set."""
SWEEPS = {
    "size": "chunk size",
    "ratio": "retain ratio",
    "rank": "rank",
    "last_k": "last k",
    "chunked": "objective",
    "mixed": "objective",
}
"""Folder of a sweep -> what varies in it."""
OBJECTIVES = {
    "unlearning.objectives.grad_diff.GradDiff": "gradient difference",
    "unlearning.objectives.npo.NPO": "NPO",
    "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff": "SHA256's adaptive",
}
"""Class of an objective -> its name in table and figure."""


def swept_runs(comparison: Path) -> list[Line]:
    """Return the finished runs, each with what varies in its sweep; the sweep is the folder that the run lies in."""
    return [{**line, "sweep": SWEEPS[line["run"].partition("/")[0]]} for line in finished_runs(comparison)]


def setting(line: Line) -> str:
    """Return in words what was varied in a run."""
    match line["sweep"]:
        case "chunk size":
            chunks = ROWS // int(line["chunk_rows"])
            return "one chunk" if chunks == 1 else f"{chunks} chunks of {line['chunk_rows']} rows"
        case "retain ratio":
            return f"{line['retain_per_forget']} retain to a forget row"
        case "rank":
            return f"rank {line['rank']}"
        case "last k":
            return f"layers {line['layers']}, no adapter"
        case _:
            name = "KL minimisation" if float(line["divergence_weight"]) else OBJECTIVES[line["objective"]]
            return f"{name}, {'2 chunks' if 'Chunked' in line['schedule'] else 'all mixed'}"


def groups_of(lines: Sequence[Line]) -> dict[tuple[str, ...], list[Line]]:
    """Return the runs by sweep and setting, in the order of SWEEPS, both schedules of an objective side by side."""
    named = [{**line, "setting": setting(line)} for line in lines]
    order = list(dict.fromkeys(SWEEPS.values()))
    named.sort(key=lambda line: (order.index(line["sweep"]), line["sweep"] == "objective" and line["setting"]))
    return group_by(named, "sweep", "setting")


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each setting, in the order of the sweeps."""
    groups = groups_of(lines)
    rows = []
    for (sweep, name), runs in groups.items():
        rows.append([sweep, name, mean_with_interval(runs, "final"), *(f"{mean(runs, key):.3f}" for key in KEYS)])
    return markdown(["what varies", "setting", "final", *(key.replace("_", " ") for key in KEYS)], rows)


def answer(lines: Sequence[Line]) -> str:
    """Give the final scores by chunk size and by retain ratio, and of each objective in chunks and mixed."""
    groups = groups_of(lines)
    parts = [
        ranked_means({name: runs for (sweep, name), runs in groups.items() if sweep == wanted}, "final")
        for wanted in ("chunk size", "retain ratio")
    ]
    finals = {name: mean(runs, "final") for (sweep, name), runs in groups.items() if sweep == "objective"}
    pairs = [
        f"{name.removesuffix(', 2 chunks')} {final:.2f} and {finals[name.replace('2 chunks', 'all mixed')]:.2f}"
        for name, final in finals.items()
        if name.endswith("2 chunks")
    ]
    return f"final score, {'; '.join(parts)}; in 2 chunks and all mixed, {', '.join(pairs)}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the final score and its parts by setting."""
    count = len({setting(line) for line in lines})
    return [
        picture(
            "settings",
            "Scores by setting",
            "Mean of three seeds with its 95% interval; dots are single runs.",
            (10.5, 1.2 + 0.27 * count),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a panel for each part of the score, a row for each setting, in a colour for each sweep."""
    groups = groups_of(lines)
    colours = dict(zip(dict.fromkeys(sweep for sweep, _ in groups), METHODS, strict=False))
    for axis, (key, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        axis.set(title=title, xlim=(-0.04, 1.04))
        for place, ((sweep, _), runs) in enumerate(groups.items()):
            draw_runs(axis, runs, key, place, colours[sweep])
    axis = figure.axes[0]
    axis.set_yticks(range(len(groups)), [name for _, name in groups])
    axis.invert_yaxis()


COLUMNS = {
    **RUN,
    "sweep": "sweep",
    "chunk_rows": "schedule.chunk_rows",
    "retain_per_forget": "ratio.retain_per_forget",
    "rank": "scope.rank",
    "layers": "scope.layers",
    "objective": "objective._target_",
    "divergence_weight": "objective.divergence_weight",
    "schedule": "schedule._target_",
    "lr": "optimizer.lr",
    **SCORES,
    **COST,
}
STUDY = Study(
    folder=Path(__file__).parent,
    question="Which of AILS-NTUA's choices matter?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
    collected_lines=swept_runs,
)

if __name__ == "__main__":
    STUDY.main()
