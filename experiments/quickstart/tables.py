"""Tables of the quickstart: `python -m experiments.quickstart.tables [FOLDER]`.

Writes the table of this study's README, one line a run, and the one at the head of the project's README, means over
seeds, from the committed results.csv. With the folder of finished runs as an argument it first takes results.csv from
them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.study import MARKERS, Line, between, grouped, markdown, mean, numbers, read_csv
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
HEADINGS = ("model", "seed", *COLUMNS.values(), "training s")
HEADLINE = tuple(COLUMNS.values())[:7]
"""Columns of the project's README, which is not wide enough for all."""
HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
README = HERE / "README.md"
PROJECT_README = HERE.parent.parent / "README.md"


def collected(folder: Path) -> list[list[str]]:
    """Cells for results.csv: target and retrained model, then the runs by method and seed.

    Raises InputError where no run is finished.
    """
    runs = [run for run in find_runs(folder) if run.finished]
    if not runs:
        raise InputError(f"{folder}: no run in it is finished")
    references = (("untouched target", runs[0].target), ("retrained model", runs[0].retrained))
    table = [[label, "", *scores(metrics), ""] for label, metrics in references if metrics is not None]
    return table + [cells(run) for run in sorted(runs, key=lambda run: (run.method, run.seed or 0))]


def cells(run: Run) -> list[str]:
    """One run's."""
    seconds = run.training.get("seconds")
    return [run.method, str(run.seed), *scores(run.metrics), "" if seconds is None else f"{seconds:.0f}"]


def scores(metrics: Metrics) -> list[str]:
    """Three digits after the point; empty where there is no number."""
    found = [metrics.get(key) for key in COLUMNS]
    return ["" if value is None else f"{value:.3f}" for value in found]


def study_readme(lines: Sequence[Line]) -> str:
    """This study's README.md with its table as these lines of results.csv have it."""
    table = markdown(HEADINGS, [[line[key] for key in HEADINGS] for line in lines])
    return between(MARKERS, README.read_text(), table)


def project_readme(lines: Sequence[Line]) -> str:
    """The project's README.md with its first table as these lines of results.csv have it.

    Target and retrained model, then the methods, the highest final score first.
    """
    references = [line for line in lines if not line["seed"]]
    methods = grouped([line for line in lines if line["seed"]], "model")
    rows = [[line["model"], *(line[key] for key in HEADLINE)] for line in references]
    for (method,), runs in sorted(methods.items(), key=lambda item: -mean(item[1], "final")):
        rows.append([f"`{method}`", *(with_range(runs, key) for key in HEADLINE)])
    return between(MARKERS, PROJECT_README.read_text(), markdown(("model", *HEADLINE), rows))


def with_range(runs: Sequence[Line], key: str) -> str:
    """Mean over seeds, with the least and the greatest in brackets.

    With all digits of results.csv: of 0.655, rounded once already, nobody can say whether it was nearer to 0.65.
    """
    values = numbers(runs, key)
    return f"{mean(runs, key):.3f} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    """The command."""
    if len(sys.argv) > 1:
        write_csv(RESULTS, HEADINGS, collected(Path(sys.argv[1])))
    lines = read_csv(RESULTS)
    study, project = study_readme(lines), project_readme(lines)
    write_text(README, study)
    write_text(PROJECT_README, project)


if __name__ == "__main__":
    main()
