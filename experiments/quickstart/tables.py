"""Write the tables of the quickstart: `python -m experiments.quickstart.tables [FOLDER]`.

There are two tables, both made from the committed results.csv: in the README of this study, with a row for each run,
and at the head of the project's README, with means over seeds. If FOLDER is given, results.csv is first made from the
finished runs in it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.study import MARKERS, Line, group_by, markdown, mean, numbers, read_csv, replace_between
from unlearning.artefacts import write_csv, write_text
from unlearning.errors import InputError
from unlearning.report.runs import Metrics, Run, find_runs

COLUMNS = {
    "final": "final",
    "task_aggregate": "task aggregate",
    "mia_score": "MIA score",
    "utility": "utility",
    "forget_knowledge": "forget EM",
    "forget_regurgitation": "forget ROUGE-L",
    "retain_knowledge": "retain EM",
    "retain_regurgitation": "retain ROUGE-L",
}
"""Key in metrics.json -> column of results.csv."""
HEADINGS = ("model", "seed", *COLUMNS.values(), "training s")
HEADLINE = tuple(COLUMNS.values())[:7]
"""Columns of the table in the project's README, which is not wide enough for all of them."""
HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
README = HERE / "README.md"
PROJECT_README = HERE.parent.parent / "README.md"


def collected_rows(folder: Path) -> list[list[str]]:
    """Return the rows of results.csv: target and retrained model, then the finished runs by method and seed.

    Raises InputError if no run in the folder is finished.
    """
    runs = [run for run in find_runs(folder) if run.finished]
    if not runs:
        raise InputError(f"{folder}: no run in it is finished")
    references = (("untouched target", runs[0].target), ("retrained model", runs[0].retrained))
    table = [[label, "", *score_cells(metrics), ""] for label, metrics in references if metrics is not None]
    return table + [run_row(run) for run in sorted(runs, key=lambda run: (run.method, run.seed or 0))]


def run_row(run: Run) -> list[str]:
    """Return the row of one run."""
    seconds = run.training.get("seconds")
    return [run.method, str(run.seed), *score_cells(run.metrics), "" if seconds is None else f"{seconds:.0f}"]


def score_cells(metrics: Metrics) -> list[str]:
    """Return the cells of some metrics, with three digits after the point; a missing number is an empty cell."""
    found = [metrics.get(key) for key in COLUMNS]
    return ["" if value is None else f"{value:.3f}" for value in found]


def study_readme(lines: Sequence[Line]) -> str:
    """Return the text of this study's README.md with the table that follows from these lines of results.csv."""
    table = markdown(HEADINGS, [[line[key] for key in HEADINGS] for line in lines])
    return replace_between(MARKERS, README.read_text(), table)


def project_readme(lines: Sequence[Line]) -> str:
    """Return the text of the project's README.md with the first table that follows from these lines of results.csv.

    The rows are those of target and retrained model, then those of the methods, the highest final score first.
    """
    references = [line for line in lines if not line["seed"]]
    methods = group_by([line for line in lines if line["seed"]], "model")
    rows = [[line["model"], *(line[key] for key in HEADLINE)] for line in references]
    for (method,), runs in sorted(methods.items(), key=lambda item: -mean(item[1], "final")):
        rows.append([f"`{method}`", *(with_range(runs, key) for key in HEADLINE)])
    return replace_between(MARKERS, PROJECT_README.read_text(), markdown(("model", *HEADLINE), rows))


def with_range(runs: Sequence[Line], key: str) -> str:
    """Return a cell such as "0.686 (0.655-0.735)": the mean over seeds, with the smallest and the largest score.

    All digits of results.csv are shown: to round its 0.655 once more would say 0.66 where the run had perhaps 0.6546.
    """
    values = numbers(runs, key)
    return f"{mean(runs, key):.3f} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    """Collect the results if a folder was given on the command line; then write both tables."""
    if len(sys.argv) > 1:
        write_csv(RESULTS, HEADINGS, collected_rows(Path(sys.argv[1])))
    lines = read_csv(RESULTS)
    study, project = study_readme(lines), project_readme(lines)
    write_text(README, study)
    write_text(PROJECT_README, project)


if __name__ == "__main__":
    main()
