"""What keeps the retain rows best? Table and figure of experiments/retain_term; see experiments/study.py."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.study import COST, RUN, SCORES, Line, Study, grouped, listed, markdown, mean, with_half
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
    """Of one run: the divergence where there is one, else cross-entropy with a constant weight or an adaptive one."""
    if float(line["divergence_weight"]):
        return line["divergence"]
    return "adaptive" if "Adaptive" in line["objective"] else "cross_entropy"


def weight(line: Line) -> str:
    """The retain term's constant weight; the adaptive one has none."""
    if term(line) == "adaptive":
        return "1.2 to 2.8"
    return line["divergence_weight"] if float(line["divergence_weight"]) else line["retain_weight"]


def setting(line: Line) -> str:
    """Term, weight and learning rate of one run, in words."""
    return f"{TERMS[term(line)]}, weight {weight(line)}, lr {line['lr']}"


def settings(lines: Sequence[Line]) -> Mapping[tuple[str, ...], list[Line]]:
    """Runs of one term, weight and learning rate: its seeds."""
    return grouped([{**line, "term": term(line), "weight": weight(line)} for line in lines], "term", "weight", "lr")


def place(runs: Sequence[Line], kept: Sequence[str]) -> tuple[float, float]:
    """Forgetting, 1 - mean of forget ROUGE-L and exact match, and the mean of what was kept; over seeds."""
    lost = sum(mean(runs, key) for key in FORGOTTEN) / len(FORGOTTEN)
    return 1 - lost, sum(mean(runs, key) for key in kept) / len(kept)


def in_order(name: tuple[str, ...]) -> tuple[float, ...]:
    """By term, the least weight, and learning rate."""
    return (list(TERMS).index(name[0]), float(name[1].split()[0]), float(name[2]))


def table(lines: Sequence[Line]) -> str:
    """One row a term, weight and learning rate, and which fronts it is on: no other setting dominates it."""
    groups = settings(lines)
    names = list(groups)
    best = {
        title: {names[i] for i in front([place(groups[name], kept) for name in names])} for title, kept in KEPT.items()
    }
    rows = []
    for name in sorted(groups, key=in_order):
        runs = groups[name]
        forgetting = place(runs, ("utility",))[0]
        fronts = ", ".join(title.split(":")[0] for title, found in best.items() if name in found)
        cells = [f"{mean(runs, key):.3f}" for key in KEYS]
        rows.append([TERMS[name[0]], name[1], name[2], with_half(runs, "final"), f"{forgetting:.3f}", *cells, fronts])
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
    """The best mean final score of each term's grid."""
    grids: dict[str, list[list[Line]]] = defaultdict(list)
    for (name, *_), runs in settings(lines).items():
        grids[TERMS[name]].append(runs)
    best = {name: max(grid, key=lambda runs: mean(runs, "final")) for name, grid in grids.items()}
    return f"best final score of a grid: {listed(best, 'final')}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Fronts of each term."""
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
    """Two panels: the retain rows, and general knowledge."""
    groups = settings(lines)
    for axis, (title, kept) in zip(figure.subplots(1, 2), KEPT.items(), strict=True):
        axis.set(title=title.split(":")[0].capitalize(), xlabel="forgetting: 1 − mean of forget R-L and EM")
        axis.set_ylabel(title.split(": ")[1])
        for colour, (name, label) in zip(METHODS, TERMS.items(), strict=False):
            places = [place(runs, kept) for (of, _, _), runs in groups.items() if of == name]
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
