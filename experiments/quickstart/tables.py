"""The study's table, one line a run, from a folder of finished runs.

    python experiments/quickstart/tables.py outputs/.../...-quickstart-seeds

Writes results.csv beside this file and prints it as Markdown.
"""

import csv
import sys
from pathlib import Path

from unlearning.report.runs import Run, find_runs

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
RESULTS = Path(__file__).parent / "results.csv"


def lines(runs: list[Run]) -> list[list[str]]:
    """Header, target, gold model, then the runs by method and seed."""
    table = [["model", "seed", *COLUMNS.values(), "training s"]]
    for label, metrics in (("untouched target", runs[0].target), ("gold model", runs[0].gold)):
        if metrics is not None:
            table.append([label, "", *(number(metrics.get(key)) for key in COLUMNS), ""])
    for run in sorted(runs, key=lambda run: (run.method, run.seed or 0)):
        seconds = run.training.get("seconds")
        values = [number(run.metrics.get(key)) for key in COLUMNS]
        table.append([run.method, str(run.seed), *values, "" if seconds is None else f"{seconds:.0f}"])
    return table


def number(value: float | None) -> str:
    """Three decimals; empty where there is none."""
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """Read the runs of the folder given, write and print the table."""
    table = lines([run for run in find_runs(Path(sys.argv[1])) if run.finished])
    with RESULTS.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(table)
    print("| " + " | ".join(table[0]) + " |\n" + "|---" * len(table[0]) + "|")
    for line in table[1:]:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
