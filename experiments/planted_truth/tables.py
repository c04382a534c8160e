"""The table of planted_truth: `python -m experiments.planted_truth.tables [FOLDER]`.

Writes the README's table from the committed results.csv. With the folder of `run.py` as an argument it first takes
results.csv from there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.study import MARKERS, Line, between, grouped, markdown, read_csv
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
"""How the README calls an estimator, where it says more than its name in results.csv."""


def readme(lines: Sequence[Line]) -> str:
    """README.md with its table as these lines of results.csv have it."""
    return between(MARKERS, README.read_text(), table(lines))


def table(lines: Sequence[Line]) -> str:
    """A row an estimator, the most hits first."""
    models = len(grouped(lines, "planted", "seed"))
    layers = sum(len(planted.split()) for planted, _ in grouped(lines, "planted", "seed"))
    headings = (
        "estimator",
        f"hits of {layers}",
        f"both layers, of {models}",
        f"confidence rule exactly right, of {models}",
        f"placebo's hits of {layers}",
    )
    groups = sorted(grouped(lines, "estimator").items(), key=lambda item: -hits(item[1]))
    return markdown(headings, [[LABELS.get(name, name), *counts(own)] for (name,), own in groups])


def hits(lines: Sequence[Line]) -> int:
    """Planted layers that were found, over all models."""
    return sum(int(line["hits"]) for line in lines)


def counts(lines: Sequence[Line]) -> list[str]:
    """One estimator's cells; a dash where it was never asked."""
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
    """The command."""
    if len(sys.argv) > 1:
        write_bytes(RESULTS, (Path(sys.argv[1]) / "results.csv").read_bytes())
    write_text(README, readme(read_csv(RESULTS)))


if __name__ == "__main__":
    main()
