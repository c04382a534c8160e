"""Tables and figure of experiments/sandbox_search: equal budgets (see experiments/study.py).

One FOLDER has a folder for each method, made by `unlearn -m search=METHOD`, with a folder for each trial. Another one
has the runs of each method's best trial with other seeds.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments import searches
from experiments.study import Line, Study, group_by, markdown, mean, numbers
from unlearning.report.style import Picture

SCORES = {
    "final": "final score",
    "task_aggregate": "task aggregate",
    "mia_score": "MIA score",
    "utility": "utility",
    "retain_knowledge": "retain EM",
}
"""The first one counts."""
SEARCH_SEED = "0"


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each run that came to its end."""
    return searches.trials(folder, list(SCORES))


def of_search(lines: Sequence[Line]) -> list[Line]:
    """Return the trials of the searches."""
    return [line for line in lines if line["seed"] == SEARCH_SEED]


def with_other_seeds(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the runs with other seeds by method, the highest mean of the final score first."""
    groups = {name: runs for (name,), runs in group_by(lines, "method").items()}
    groups = {name: [line for line in runs if line["seed"] != SEARCH_SEED] for name, runs in groups.items()}
    groups = {name: runs for name, runs in groups.items() if runs}
    return dict(sorted(groups.items(), key=lambda item: -mean(item[1], "final")))


def table(lines: Sequence[Line]) -> str:
    """Return a table of the searches, and one of the best trials with other seeds."""
    rows = []
    for name, runs in with_other_seeds(lines).items():
        seeds = ", ".join(line["seed"] for line in runs)
        spread = f"{min(numbers(runs, 'final')):.3f}-{max(numbers(runs, 'final')):.3f}"
        rows.append([f"`{name}`", seeds, f"{mean(runs, 'final'):.3f} ({spread})"])
        rows[-1] += [f"{mean(runs, key):.3f}" for key in SCORES if key != "final"]
    chosen = markdown(["best trial", "other seeds", *SCORES.values()], rows)
    return searches.table(of_search(lines), SCORES) + "\n" + chosen


def answer(lines: Sequence[Line]) -> str:
    """Give the mean final score of each method's best trial over other seeds."""
    means = ", ".join(f"`{name}` {mean(runs, 'final'):.2f}" for name, runs in with_other_seeds(lines).items())
    return f"final score of the best trial over three new seeds: {means}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of the best score against the budget."""
    return [searches.budget_picture(of_search(lines), SCORES)]


STUDY = Study(
    folder=Path(__file__).parent,
    question="Which methods do best on the sandbox with equal budgets?",
    answer=answer,
    columns=searches.columns(list(SCORES)),
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
