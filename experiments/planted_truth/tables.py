"""Write the table of experiments/planted_truth: `python -m experiments.planted_truth.tables [FOLDER]`.

The tables of the README are made from the committed results.csv and where.csv. If FOLDER is given, those of the two
that it has are first copied from there; it is the folder that `run.py` or `forget.py` wrote into.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from experiments.study import MARKERS, Line, group_by, markdown, read_csv, replace_between
from unlearning.artefacts import write_bytes, write_text

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
WHERE = HERE / "where.csv"
README = HERE / "README.md"
WHERE_MARKERS = ("<!-- where -->\n", "<!-- /where -->\n")
"""What stands before and after the table of where.csv in the README."""
LABELS = {
    "weights, noising": "weights exchanged (`trace=weights`)",
    "base model, denoising": "base model's states, denoising (`trace=base_model`)",
    "base model, noising": "base model's states, noising",
    "noise": "noise (`trace=default`)",
    "replacement": "name replaced (`trace=replacement`)",
}
"""Estimator in results.csv -> its name in the README, for those that need a longer one."""
SCOPES = {
    "planted": "the planted MLPs (`trace=weights` found them above)",
    "all layers": "all weights",
    "adapters": "adapters on every linear module",
}
"""Scope in where.csv -> its name in the README."""


def readme(lines: Sequence[Line]) -> str:
    """Return the text of README.md with the table that follows from these lines of results.csv."""
    return replace_between(MARKERS, README.read_text(), table(lines))


def where_readme(lines: Sequence[Line]) -> str:
    """Return the text of README.md with the table that follows from these lines of where.csv."""
    return replace_between(WHERE_MARKERS, README.read_text(), where_table(lines))


def where_table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each scope: means over the placements, and the range of the weights' AUC."""
    headings = {
        "layer_auc": "AUC of layers",
        "weight_auc": "AUC of weights (range)",
        "taken_back": "planting undone",
        "forget_after": "forget exact match",
        "retain_after": "retain exact match",
        "planted_put_back": "forget, planted MLPs put back",
        "others_put_back": "forget, all else put back",
    }
    rows = []
    for (scope,), own in group_by(lines, "scope").items():
        cells = {name: [float(line[name]) for line in own] for name in headings}
        means = {name: f"{fmean(values):.2f}" for name, values in cells.items()}
        aucs = cells["weight_auc"]
        means["taken_back"] = f"{fmean(cells['taken_back']):.3f}"
        means["weight_auc"] += f" ({min(aucs):.2f} to {max(aucs):.2f})"
        rows.append([SCOPES[scope], *means.values()])
    return markdown(("scope", *headings.values()), rows)


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
    for file in (RESULTS, WHERE):
        given = Path(sys.argv[1]) / file.name if len(sys.argv) > 1 else file
        if given.exists() and given != file:
            write_bytes(file, given.read_bytes())
    write_text(README, readme(read_csv(RESULTS)))
    write_text(README, where_readme(read_csv(WHERE)))


if __name__ == "__main__":
    main()
