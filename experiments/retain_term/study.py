"""Table and figure of experiments/retain_term: what keeps the retain rows best? (see experiments/study.py)"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.study import COST, RUN, SCORES, Line, Study, group_by, markdown, mean, mean_with_interval, ranked_means
from unlearning.report.pareto import front
from unlearning.report.style import METHODS, Picture, picture

TERMS = {
    "adaptive": "adaptive cross-entropy",
    "cross_entropy": "cross-entropy",
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "js": "Jensen-Shannon",
    "renyi": "Rényi",
}
KEYS = ("task_aggregate", "mia_score", "utility", "retain_knowledge", "retain_regurgitation")
FORGOTTEN = ("forget_knowledge", "forget_regurgitation")
KEPT = {
    "retain rows: mean of retain R-L and EM": ("retain_knowledge", "retain_regurgitation"),
    "general knowledge: utility": ("utility",),
}


def term(line: Line) -> str:
    """Return the retain term of a run: its divergence if it has one, else constant or adaptive cross-entropy."""
    if float(line["divergence_weight"]):
        return line["divergence"]
    return "adaptive" if "Adaptive" in line["objective"] else "cross_entropy"


def weight(line: Line) -> str:
    """Return the constant weight of the retain term, or the range of the adaptive one."""
    if term(line) == "adaptive":
        return "1.2 to 2.8"
    return line["divergence_weight"] if float(line["divergence_weight"]) else line["retain_weight"]


def setting(line: Line) -> str:
    """Return retain term, weight and learning rate of a run in words."""
    return f"{TERMS[term(line)]}, weight {weight(line)}, lr {line['lr']}"


def settings(lines: Sequence[Line]) -> Mapping[tuple[str, ...], list[Line]]:
    """Return the runs by retain term, weight and learning rate; the runs of a group differ in their seeds."""
    return group_by([{**line, "term": term(line), "weight": weight(line)} for line in lines], "term", "weight", "lr")


def forgotten_and_kept(runs: Sequence[Line], kept: Sequence[str]) -> tuple[float, float]:
    """Return how much was forgotten and how much was kept, means over seeds.

    Forgetting is 1 - the mean of ROUGE-L and exact match on the forget set.
    """
    lost = sum(mean(runs, key) for key in FORGOTTEN) / len(FORGOTTEN)
    return 1 - lost, sum(mean(runs, key) for key in kept) / len(kept)


def sort_key(name: tuple[str, ...]) -> tuple[float, ...]:
    """Return the sort key of a setting: its term, its smallest weight and its learning rate."""
    return (list(TERMS).index(name[0]), float(name[1].split()[0]), float(name[2]))


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each setting, and the Pareto fronts that the setting is on."""
    groups = settings(lines)
    names = list(groups)
    best = {
        title: {names[i] for i in front([forgotten_and_kept(groups[name], kept) for name in names])}
        for title, kept in KEPT.items()
    }
    rows = []
    for name in sorted(groups, key=sort_key):
        runs = groups[name]
        forgetting = forgotten_and_kept(runs, ("utility",))[0]
        fronts = ", ".join(title.split(":")[0] for title, found in best.items() if name in found)
        cells = [f"{mean(runs, key):.3f}" for key in KEYS]
        rows.append(
            [TERMS[name[0]], name[1], name[2], mean_with_interval(runs, "final"), f"{forgetting:.3f}", *cells, fronts]
        )
    headings = [
        "term",
        "weight",
        "lr",
        "final",
        "forgetting",
        *(key.replace("_", " ") for key in KEYS),
        "on the front of",
    ]
    return markdown(headings, rows)


def answer(lines: Sequence[Line]) -> str:
    """Give the best mean final score of each term's grid."""
    grids: dict[str, list[list[Line]]] = defaultdict(list)
    for (name, *_), runs in settings(lines).items():
        grids[TERMS[name]].append(runs)
    best = {name: max(grid, key=lambda runs: mean(runs, "final")) for name, grid in grids.items()}
    return f"best final score of a grid: {ranked_means(best, 'final')}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the Pareto fronts of each term."""
    return [
        picture(
            "fronts",
            "Forgetting against what was kept",
            "A point is a weight and rate, mean of three seeds; lines join what no other point of a term dominates.",
            (10.0, 4.2),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw two panels: the retain rows and general knowledge."""
    groups = settings(lines)
    for axis, (title, kept) in zip(figure.subplots(1, 2), KEPT.items(), strict=True):
        axis.set(title=title.split(":")[0].capitalize(), xlabel="forgetting: 1 − mean of forget R-L and EM")
        axis.set_ylabel(title.split(": ")[1])
        for colour, (name, label) in zip(METHODS, TERMS.items(), strict=False):
            places = [forgotten_and_kept(runs, kept) for (own, _, _), runs in groups.items() if own == name]
            if not places:
                continue
            best = [places[index] for index in front(places)]
            axis.plot(*zip(*places, strict=True), "o", color=colour, markersize=5, alpha=0.45)
            axis.plot(*zip(*best, strict=True), "o-", color=colour, markersize=5, label=label)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


COLUMNS = {
    **RUN,
    "objective": "objective._target_",
    "divergence": "objective.divergence",
    "divergence_weight": "objective.divergence_weight",
    "retain_weight": "objective.retain_weight",
    "lr": "optimizer.lr",
    **SCORES,
    **COST,
}
STUDY = Study(
    folder=Path(__file__).parent,
    question="What keeps the retain rows?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
)

if __name__ == "__main__":
    STUDY.main()
