"""Table and figure of experiments/semeval_standin: the leaderboard's rows on a stand-in.

See experiments/study.py for the command. `run.py` in this folder writes the runs.csv that it reads.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from experiments.semeval_leaderboard.row import NAMES, published
from experiments.study import SCORES, Line, Study, draw_runs, group_by, markdown, mean, mean_with_interval
from unlearning.report.style import INK, METHODS, MUTED, RETRAINED, TARGET, Picture, picture

REFERENCES = {"target": "target, nothing unlearned", "retrained": "retrained model, never saw the forget rows"}
KEYS = {
    "final": "final",
    "task_aggregate": "task aggregate",
    "mean_of_terms": "mean of its 12 terms",
    "mia_score": "MIA score",
    "mia_auc": "MIA AUC",
    "utility": "MMLU",
    "forget_knowledge": "forget EM",
    "retain_knowledge": "retain EM",
}
"""Columns of the table, with their headings."""
PANELS = {
    "final": "final score",
    "task_aggregate": "task aggregate",
    "mean_of_terms": "mean of its 12 terms",
    "mia_score": "MIA score",
}
SIZES = {"1B": "s", "7B": "D"}
"""Size of a published model -> its mark in the figure."""
COLUMNS = {key: key for key in ("row", "lr", "seed", *SCORES, "mia_auc", "mean_of_terms", "steps", "seconds")}


def runs_by_rate(lines: Sequence[Line]) -> dict[str, list[list[Line]]]:
    """Return each row's runs by learning rate, the best mean final score first; rows in the same order."""
    rows = {name: own for (name,), own in group_by(lines, "row").items() if name in NAMES}
    rates = {name: sorted(group_by(own, "lr").values(), key=final, reverse=True) for name, own in rows.items()}
    return dict(sorted(rates.items(), key=lambda item: final(item[1][0]), reverse=True))


def final(runs: Sequence[Line]) -> float:
    """Return the mean final score over seeds."""
    return mean(runs, "final")


def table(lines: Sequence[Line]) -> str:
    """Return a table of target, retrained model and rows by final score, then the rank correlations."""
    by_row = {name: runs for (name,), runs in group_by(lines, "row").items()}
    body = [[text, *cells(by_row[name]), "", "", ""] for name, text in REFERENCES.items()]
    for name, (best, *others) in runs_by_rate(lines).items():
        rest = ", ".join(f"{mean(other, 'final'):.3f} ({rate(other[0])})" for other in others)
        official = [published(NAMES[name], size).get("final", "") for size in SIZES]
        body.append([NAMES[name], *cells(best), rest, *official])
    headings = ["stand-in for", "lr", "steps", *KEYS.values()]
    headings += ["final with the other rates", *(f"published {size}" for size in SIZES)]
    return markdown(headings, body) + "\n" + agreement(lines)


def answer(lines: Sequence[Line]) -> str:
    """Say how many rows forget, keep and hide membership, and how far their order is the leaderboard's."""
    best = {name: rates[0] for name, rates in runs_by_rate(lines).items()}
    tasks = {name: mean(runs, "task_aggregate") for name, runs in best.items()}
    working = sum(value > 0 for value in tasks.values())
    hidden = sum(mean(runs, "mia_score") > 0 for runs in best.values())
    top = max(tasks, key=lambda name: tasks[name])
    return (
        f"On a stand-in of four layers, {working} of the {len(best)} rows have a task aggregate above 0 (the highest: "
        f"{NAMES[top]}, {tasks[top]:.2f}) and {hidden} a membership score; rank correlation with the published 7B "
        f"scores {correlation(best, '7B'):.2f}."
    )


def correlation(best: Mapping[str, Sequence[Line]], size: str) -> float:
    """Return Spearman's correlation of the mean final scores with those published for this size."""
    both = [name for name in best if published(NAMES[name], size)]
    here = [mean(best[name], "final") for name in both]
    return float(spearmanr(here, [float(published(NAMES[name], size)["final"]) for name in both]).statistic)


def cells(runs: Sequence[Line]) -> list[str]:
    """Return the measured cells of a row, means over seeds."""
    numbers = [f"{mean(runs, key):.3f}" for key in KEYS if key != "final"]
    return [rate(runs[0]), runs[0]["steps"], mean_with_interval(runs, "final"), *numbers]


def rate(line: Line) -> str:
    """Return the learning rate, or nothing for target and retrained model, which have none."""
    return f"{float(line['lr']):g}" if line["lr"] else ""


def agreement(lines: Sequence[Line]) -> str:
    """Return a sentence with the rank correlations (Spearman) of the final scores."""
    best = {name: rates[0] for name, rates in runs_by_rate(lines).items()}
    correlations = [
        f"{size} {correlation(best, size):.2f} ({sum(bool(published(NAMES[name], size)) for name in best)} rows)"
        for size in SIZES
    ]
    return f"Rank correlation of the final scores with the published ones: {', '.join(correlations)}.\n"


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the final score and its parts beside the published ones."""
    return [
        picture(
            "standin",
            "The leaderboard's rows on a stand-in",
            "Mean of three seeds with its 95% interval at the best learning rate; hollow: the other rates.",
            (10.5, 3.8),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a panel for each part of the score, with a line for each row of the leaderboard."""
    rows = runs_by_rate(lines)
    references = {name: own[0] for (name,), own in group_by(lines, "row").items() if name in REFERENCES}
    for axis, (key, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        axis.set(title=title, xlim=(-0.04, 1.04))
        for name, colour in zip(REFERENCES, (TARGET, RETRAINED), strict=True):
            axis.axvline(float(references[name][key]), color=colour, linewidth=1.2, linestyle="--", label=name)
        for place, (name, (best, *others)) in enumerate(rows.items()):
            for other in others:
                axis.plot(mean(other, key), place, "o", markersize=6, color=METHODS[0], markerfacecolor="none")
            draw_runs(axis, best, key, place, METHODS[0])
            for size, mark in SIZES.items():
                if (official := published(NAMES[name], size)) and key in official:
                    axis.plot(float(official[key]), place, mark, markersize=5, color=INK, markerfacecolor="none")
    axis = figure.axes[0]
    axis.set_yticks(range(len(rows)), [NAMES[name] for name in rows], color=MUTED)
    axis.invert_yaxis()
    axis.plot([], [], "o", color=METHODS[0], label="stand-in")
    for size, mark in SIZES.items():
        axis.plot([], [], mark, color=INK, markerfacecolor="none", label=f"published {size}")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5)


STUDY = Study(
    folder=Path(__file__).parent,
    question="What do the leaderboard's rows do without the organisers' checkpoints?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
)

if __name__ == "__main__":
    STUDY.main()
