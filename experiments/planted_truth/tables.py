"""Write the table of experiments/planted_truth: `python -m experiments.planted_truth.tables [FOLDER]`.

The table of the README is made from the committed results.csv. If FOLDER is given, results.csv is first copied from
there; it is the folder that `run.py` wrote into.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.study import MARKERS, Line, group_by, markdown, read_csv, replace_between
from unlearning.artefacts import write_bytes, write_text

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
README = HERE / "README.md"
LABELS = {
    "weights, noising": "weights exchanged (`trace=weights`)",
    "base model, denoising": "base model's states, denoising (`trace=base_model`)",
    "base model, noising": "base model's states, noising",
    "noise": "noise (`trace=default`)",
    "replacement": "name replaced (`trace=replacement`)",
}
"""Estimator in results.csv -> its name in the README, for those that need a longer one."""


def readme(lines: Sequence[Line]) -> str:
    """Return the text of README.md with the table that follows from these lines of results.csv."""
    return replace_between(MARKERS, README.read_text(), table(lines))


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each estimator, the most hits first."""
    models = len(group_by(lines, "planted", "seed"))
    layers = sum(len(planted.split()) for planted, _ in group_by(lines, "planted", "seed"))
    headings = (
        "estimator",
        f"hits of {layers}",
        f"both layers, of {models}",
        f"confidence rule exactly right, of {models}",
        f"placebo's hits of {layers}",
    )
    groups = sorted(group_by(lines, "estimator").items(), key=lambda item: -hits(item[1]))
    return markdown(headings, [[LABELS.get(name, name), *counts(own)] for (name,), own in groups])


def hits(lines: Sequence[Line]) -> int:
    """Return how many planted layers an estimator found in all models together."""
    return sum(int(line["hits"]) for line in lines)


def counts(lines: Sequence[Line]) -> list[str]:
    """Return the cells of one estimator: its hits, and how often it found both layers and chose exactly these.

    A dash stands for what the estimator does not say.
    """
    both = sum(int(line["hits"]) == len(line["planted"].split()) for line in lines)
    exact = sum(line["chosen"] == line["planted"] for line in lines)
    placebo = sum(int(line["placebo_hits"] or 0) for line in lines)
    return [
        str(hits(lines)),
        str(both),
        str(exact) if any(line["chosen"] for line in lines) else "-",
        str(placebo) if any(line["placebo_hits"] for line in lines) else "-",
    ]


def main() -> None:
    """Copy the results if a folder was given on the command line; then write the table."""
    if len(sys.argv) > 1:
        write_bytes(RESULTS, (Path(sys.argv[1]) / "results.csv").read_bytes())
    write_text(README, readme(read_csv(RESULTS)))


if __name__ == "__main__":
    main()
