"""Tables and figures of experiments/sandbox_search: equal budgets (see experiments/study.py).

One FOLDER has a folder for each method, made by `unlearn -m search=METHOD`, with a folder for each trial. Another one
has the probed runs of each method's best trial with other seeds.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments import searches
from experiments.probed_runs import LEAK, front, front_picture, probed
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
RECOVERED = {"worst_case": "worst case", "worst_case_retrained": "retrained model", "leak": LEAK}
"""What probes bring back, the first two as shares of the questions; trials of the search are not probed."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each run that came to its end."""
    return [{**line, **_recovered(folder, line)} for line in searches.trials(folder, list(SCORES))]


def _recovered(folder: Path, line: Line) -> Line:
    """Return what the probes brought back in a run; nothing for one that was not probed."""
    found = next(folder.glob(f"{line['method']}/{line['trial']}-*/probes.json"), None)
    if found is None:
        return dict.fromkeys(RECOVERED, "")
    retrained = probed(found.parent, "retrained", ["worst_case"])["worst_case"]
    return {**probed(found.parent, "unlearned", ["worst_case"]), "worst_case_retrained": retrained}


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
        rows[-1] += [f"{mean(runs, key):.3f}" for key in (*SCORES, "worst_case", "worst_case_retrained")[1:]]
        rows[-1].append(f"{mean(runs, 'leak'):.0e}")
    chosen = markdown(["best trial", "other seeds", *SCORES.values(), *RECOVERED.values()], rows)
    return searches.table(of_search(lines), SCORES) + "\n" + chosen


def answer(lines: Sequence[Line]) -> str:
    """Give the mean final score of each method's best trial over other seeds, and which are on the front."""
    methods = with_other_seeds(lines)
    means = ", ".join(f"`{name}` {mean(runs, 'final'):.2f}" for name, runs in methods.items())
    best = ", ".join(f"`{name}`" for name in front(methods))
    on_front = f"on the front of final score, worst case and {LEAK}: {best}"
    return f"final score of the best trial over three new seeds: {means}; {on_front}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figures of the best score against the budget, and of the final score against what comes back."""
    return [searches.budget_picture(of_search(lines), SCORES), front_picture(with_other_seeds(lines))]


STUDY = Study(
    folder=Path(__file__).parent,
    question="Which methods do best on the sandbox with equal budgets?",
    answer=answer,
    columns={**searches.columns(list(SCORES)), **{key: key for key in RECOVERED}},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
