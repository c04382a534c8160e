"""Chunk size, retain ratio, rank and last-k; table and figure of experiments/chunking; see experiments/study.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.study import (
    COST,
    RUN,
    SCORES,
    Line,
    Study,
    finished_runs,
    grouped,
    listed,
    markdown,
    mean,
    mean_and_half,
    numbers,
    with_half,
)
from unlearning.report.style import INK, METHODS, Picture, picture

ROWS = 120
"""Of the forget set: a chunk of as many is all of it."""
PANELS = {"final": "final score", "task_aggregate": "task aggregate", "mia_score": "MIA score", "utility": "utility"}
KEYS = ("task_aggregate", "mia_score", "utility", "forget_knowledge", "retain_knowledge")


def swept_runs(comparison: Path) -> list[Line]:
    """Finished runs with the name of their sweep, the folder that they lie in."""
    return [{**line, "sweep": line["run"].partition("/")[0]} for line in finished_runs(comparison)]


def setting(line: Line) -> str:
    """What a run's sweep varied, in words."""
    objective = line["objective"].rpartition(".")[2]
    match line["sweep"]:
        case "size":
            return f"{ROWS // int(line['chunk_rows'])} chunks of {line['chunk_rows']} rows"
        case "ratio":
            return f"{line['retain_per_forget']} retain rows a forget row"
        case "rank":
            return f"rank {line['rank']}"
        case "last_k":
            return f"blocks {line['blocks']}, no adapter"
        case _:
            name = objective if float(line["divergence_weight"]) == 0 else f"{objective} with KL"
            return f"{name}, {'chunked' if 'Chunked' in line['schedule'] else 'not chunked'}"


def table(lines: Sequence[Line]) -> str:
    """One row a setting, in the order of the sweeps."""
    groups = grouped([{**line, "setting": setting(line)} for line in lines], "sweep", "setting")
    rows = []
    for (sweep, name), runs in groups.items():
        rows.append(
            [sweep.replace("_", " "), name, with_half(runs, "final"), *(f"{mean(runs, key):.3f}" for key in KEYS)]
        )
    return markdown(["what varies", "setting", "final", *(key.replace("_", " ") for key in KEYS)], rows)


def answer(lines: Sequence[Line]) -> str:
    """Final scores by setting, sweep by sweep."""
    told = []
    for (sweep,), runs in grouped([{**line, "setting": setting(line)} for line in lines], "sweep").items():
        by_setting = {name: own for (name,), own in grouped(runs, "setting").items()}
        if sweep in ("size", "ratio"):
            told.append(listed(by_setting, "final"))
    return "final score, " + "; ".join(told) + "."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """The score and its parts by setting."""
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
    """A panel a part of the score, a row a setting, a colour a sweep."""
    groups = grouped([{**line, "setting": setting(line)} for line in lines], "sweep", "setting")
    colours = dict(zip(dict.fromkeys(sweep for sweep, _ in groups), METHODS, strict=False))
    for axis, (key, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        axis.set(title=title, xlim=(-0.04, 1.04))
        for place, ((sweep, _), runs) in enumerate(groups.items()):
            middle, half = mean_and_half(runs, key)
            axis.errorbar(middle, place, xerr=half, fmt="o", color=colours[sweep], markersize=5, capsize=2)
            axis.plot(numbers(runs, key), [place] * len(runs), ".", color=INK, markersize=3, alpha=0.6)
    axis = figure.axes[0]
    axis.set_yticks(range(len(groups)), [name for _, name in groups])
    axis.invert_yaxis()


COLUMNS = {
    **RUN,
    "sweep": "sweep",
    "chunk_rows": "schedule.chunk_rows",
    "retain_per_forget": "ratio.retain_per_forget",
    "rank": "scope.rank",
    "blocks": "scope.blocks",
    "objective": "objective._target_",
    "divergence_weight": "objective.divergence_weight",
    "schedule": "schedule._target_",
    "lr": "optimizer.lr",
    **SCORES,
    **COST,
}
STUDY = Study(
    Path(__file__).parent, "Which of AILS-NTUA's choices matter?", answer, COLUMNS, table, pictures, swept_runs
)

if __name__ == "__main__":
    STUDY.main()
