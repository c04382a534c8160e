"""What the studies share: from a comparison's runs.csv to a study's results.csv, figures and tables.

`python -m experiments.NAME.study` draws the figures of experiments/NAME and writes its README's table again, from the
committed results.csv. With the folder of a comparison (`unlearn-report runs=FOLDER`, or a multirun) as an argument it
first takes results.csv from the runs.csv there.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from unlearning.artefacts import write_csv, write_text
from unlearning.report.statistic import student_half
from unlearning.report.style import INK, Picture, write_pictures

MARKERS = ("<!-- results -->\n", "<!-- /results -->\n")
SHORT, SMALL = 7, 5e-3
Line = Mapping[str, str]
Group = tuple[str, ...]

SCORES = {
    key: key
    for key in (
        *("final", "task_aggregate", "mia_score", "utility"),
        *("forget_knowledge", "forget_regurgitation", "retain_knowledge", "retain_regurgitation"),
    )
}
"""Columns of most studies: the score and its parts."""
PANELS = {"final": "final score", "task_aggregate": "task aggregate", "mia_score": "MIA score", "utility": "utility"}
"""Of most figures."""
KEYS = ("task_aggregate", "mia_score", "utility", "forget_knowledge", "retain_knowledge")
"""Of most tables, beside the final score."""
RUN = {"method": "method", "seed": "seed"}
COST = {"trained_parameters": "training_trainable_parameters", "seconds": "training_seconds"}


def read_csv(path: Path) -> list[dict[str, str]]:
    """One dictionary a line."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def between(markers: tuple[str, str], text: str, content: str) -> str:
    """The text with the content in place of what stands between the two markers. ValueError where one is missing."""
    before, first, rest = text.partition(markers[0])
    _, last, after = rest.partition(markers[1])
    if not first or not last:
        raise ValueError(f"{''.join(markers).strip()!r}: a README needs both markers, in this order")
    return before + first + content + last + after


def finished_runs(comparison: Path) -> list[Line]:
    """Lines of its runs.csv."""
    return [line for line in read_csv(comparison / "runs.csv") if line["state"] == "finished"]


@dataclass(frozen=True)
class Study:
    """One folder under experiments/."""

    folder: Path
    question: str
    """In a few words, for the list of studies in the project's README."""
    answer: Callable[[Sequence[Line]], str]
    """A sentence with its numbers, for the same list, in Markdown."""
    columns: Mapping[str, str]
    """Column of results.csv -> column of runs.csv; empty where a comparison lacks it, as all its runs agree."""
    table: Callable[[Sequence[Line]], str]
    """The README's table, in Markdown."""
    pictures: Callable[[Sequence[Line]], list[Picture]]
    measured: Callable[[Path], list[Line]] = finished_runs
    """What a comparison's folder has for results.csv."""

    def lines(self) -> list[dict[str, str]]:
        """Of results.csv."""
        return read_csv(self.folder / "results.csv")

    def collect(self, comparisons: Sequence[Path]) -> None:
        """Write results.csv, from all comparisons."""
        lines = [line for folder in comparisons for line in self.measured(folder)]
        rows = [[rounded(line.get(key, "")) for key in self.columns.values()] for line in lines]
        write_csv(self.folder / "results.csv", list(self.columns), rows)

    def readme(self) -> str:
        """README.md with its table as results.csv has it."""
        return between(MARKERS, (self.folder / "README.md").read_text(), self.table(self.lines()))

    def main(self) -> None:
        """The command."""
        if len(sys.argv) > 1:
            self.collect([Path(word) for word in sys.argv[1:]])
        write_pictures(self.folder, self.pictures(self.lines()))
        write_text(self.folder / "README.md", self.readme())


def rounded(cell: str) -> str:
    """Four digits after the point, more than any of these scores has; what is short, or small, stays as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return cell if len(cell) <= SHORT or abs(number) < SMALL else f"{number:.4f}"


def grouped(lines: Sequence[Line], *keys: str) -> dict[Group, list[Line]]:
    """Lines that agree in these columns, in the order of their first one."""
    groups: dict[Group, list[Line]] = defaultdict(list)
    for line in lines:
        groups[tuple(line[key] for key in keys)].append(line)
    return dict(groups)


def numbers(lines: Sequence[Line], key: str) -> list[float]:
    """One column."""
    return [float(line[key]) for line in lines]


def mean(lines: Sequence[Line], key: str) -> float:
    """Over seeds."""
    return fmean(numbers(lines, key))


def mean_and_half(lines: Sequence[Line], key: str) -> tuple[float, float]:
    """Mean over seeds, and half of its 95% interval by Student's t (0 for a single run, whose interval is unknown)."""
    values = numbers(lines, key)
    return fmean(values), student_half(values) if len(values) > 1 else 0.0


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, with a line end after its last row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def listed(names: Mapping[str, Sequence[Line]], key: str) -> str:
    """Names and their means, the highest first."""
    means = {name: mean(lines, key) for name, lines in names.items()}
    return ", ".join(f"{name} {means[name]:.2f}" for name in sorted(means, key=lambda name: -means[name]))


def draw_runs(axis: Any, lines: Sequence[Line], key: str, height: float, colour: str) -> None:
    """The mean of some runs with its 95% interval, lying at this height, and each run as a dot."""
    middle, half = mean_and_half(lines, key)
    axis.errorbar(middle, height, xerr=half, fmt="o", color=colour, markersize=5, capsize=2)
    axis.plot(numbers(lines, key), [height] * len(lines), ".", color=INK, markersize=3, alpha=0.6)


def with_half(lines: Sequence[Line], key: str) -> str:
    """A cell: the mean over seeds and half its 95% interval."""
    middle, half = mean_and_half(lines, key)
    return f"{middle:.3f} ± {half:.3f}" if len(lines) > 1 else f"{middle:.3f}"
