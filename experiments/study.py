"""What the studies share: they turn the runs.csv of a comparison into results.csv, figures and tables.

`python -m experiments.NAME.study` draws the figures of experiments/NAME and writes the table of its README, both from
the committed results.csv. If it is given the folders of comparisons (made by `unlearn-report runs=FOLDER` or by a
multirun), it first makes results.csv from the runs.csv that lies in each of them.
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
"""What stands before and after the table in a README."""
SHORT_CHARACTERS = 7
"""A number of at most so many characters is not rounded."""
SMALL_NUMBER = 5e-3
"""A number below it is not rounded, so that learning rates keep their digits."""
Line = Mapping[str, str]
"""One line of a CSV file: column -> cell."""
Group = tuple[str, ...]
"""The cells that the lines of one group have in common."""

SCORES = {
    key: key
    for key in (
        *("final", "task_aggregate", "mia_score", "utility"),
        *("forget_knowledge", "forget_regurgitation", "retain_knowledge", "retain_regurgitation"),
    )
}
"""The final score and its parts: columns that most studies take from runs.csv."""
PANELS = {"final": "final score", "task_aggregate": "task aggregate", "mia_score": "MIA score", "utility": "utility"}
"""Columns that most figures show, one panel each, with the titles of the panels."""
KEYS = ("task_aggregate", "mia_score", "utility", "forget_knowledge", "retain_knowledge")
"""Columns that most tables show beside the final score."""
RUN = {"method": "method", "seed": "seed"}
COST = {"trained_parameters": "training_trainable_parameters", "seconds": "training_seconds"}


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file, each as a dictionary from column to cell."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def replace_between(markers: tuple[str, str], text: str, content: str) -> str:
    """Return the text with the content in place of what stands between the two markers.

    Raises ValueError if a marker is missing or the second one stands before the first.
    """
    before, first, rest = text.partition(markers[0])
    _, last, after = rest.partition(markers[1])
    if not first or not last:
        raise ValueError(f"{''.join(markers).strip()!r}: a README needs both markers, in this order")
    return before + first + content + last + after


def finished_runs(comparison: Path) -> list[Line]:
    """Return the lines of a comparison's runs.csv whose runs are finished."""
    return [line for line in read_csv(comparison / "runs.csv") if line["state"] == "finished"]


@dataclass(frozen=True)
class Study:
    """A study: a folder under experiments/ with a README.md, a results.csv and figures that are made from it."""

    folder: Path
    question: str
    """The question in a few words, for the list of studies in docs/studies.md."""
    answer: Callable[[Sequence[Line]], str]
    """Makes one sentence with the numbers of results.csv, in Markdown, for the same list."""
    columns: Mapping[str, str]
    """Column of results.csv -> key of a collected line. A cell is empty if a comparison has no such column, because
    all of its runs have the same value."""
    table: Callable[[Sequence[Line]], str]
    """Makes the README's table, in Markdown, from the lines of results.csv."""
    pictures: Callable[[Sequence[Line]], list[Picture]]
    """Draws the figures from the lines of results.csv."""
    collected_lines: Callable[[Path], list[Line]] = finished_runs
    """Reads the lines for results.csv from the folder of a comparison."""

    def lines(self) -> list[dict[str, str]]:
        """Return the lines of results.csv."""
        return read_csv(self.folder / "results.csv")

    def collect(self, comparisons: Sequence[Path]) -> None:
        """Write results.csv from the folders of all comparisons."""
        lines = [line for folder in comparisons for line in self.collected_lines(folder)]
        rows = [[rounded(line.get(key, "")) for key in self.columns.values()] for line in lines]
        write_csv(self.folder / "results.csv", list(self.columns), rows)

    def readme(self) -> str:
        """Return the text of README.md with the table that follows from results.csv."""
        return replace_between(MARKERS, (self.folder / "README.md").read_text(), self.table(self.lines()))

    def main(self) -> None:
        """Collect the results if folders were given on the command line; then draw the figures and write the table."""
        if len(sys.argv) > 1:
            self.collect([Path(word) for word in sys.argv[1:]])
        write_pictures(self.folder, self.pictures(self.lines()))
        write_text(self.folder / "README.md", self.readme())


def rounded(cell: str) -> str:
    """Return a number with four digits after the point, and any short cell, small number or text as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return cell if len(cell) <= SHORT_CHARACTERS or abs(number) < SMALL_NUMBER else f"{number:.4f}"


def group_by(lines: Sequence[Line], *keys: str) -> dict[Group, list[Line]]:
    """Return the lines by their cells in these columns; groups are in the order of their first lines."""
    groups: dict[Group, list[Line]] = defaultdict(list)
    for line in lines:
        groups[tuple(line[key] for key in keys)].append(line)
    return dict(groups)


def numbers(lines: Sequence[Line], key: str) -> list[float]:
    """Return the numbers of one column."""
    return [float(line[key]) for line in lines]


def mean(lines: Sequence[Line], key: str) -> float:
    """Return the mean of one column, usually over seeds."""
    return fmean(numbers(lines, key))


def mean_and_half_interval(lines: Sequence[Line], key: str) -> tuple[float, float]:
    """Return the mean over seeds and half the width of its 95% interval by Student's t.

    The second is 0 for a single run, whose interval is unknown.
    """
    values = numbers(lines, key)
    return fmean(values), student_half(values) if len(values) > 1 else 0.0


def mean_with_interval(lines: Sequence[Line], key: str) -> str:
    """Return a cell such as "0.870 ± 0.104": the mean over seeds and half the width of its 95% interval."""
    middle, half = mean_and_half_interval(lines, key)
    return f"{middle:.3f} ± {half:.3f}" if len(lines) > 1 else f"{middle:.3f}"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; its last line ends with a line break."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def ranked_means(groups: Mapping[str, Sequence[Line]], key: str) -> str:
    """Return the names of the groups with their means of one column, the highest mean first."""
    means = {name: mean(lines, key) for name, lines in groups.items()}
    return ", ".join(f"{name} {means[name]:.2f}" for name in sorted(means, key=lambda name: -means[name]))


def draw_runs(axis: Any, lines: Sequence[Line], key: str, height: float, colour: str) -> None:
    """Draw the mean of some runs with its 95% interval as a horizontal bar at this height, and each run as a dot."""
    middle, half = mean_and_half_interval(lines, key)
    axis.errorbar(middle, height, xerr=half, fmt="o", color=colour, markersize=5, capsize=2)
    axis.plot(numbers(lines, key), [height] * len(lines), ".", color=INK, markersize=3, alpha=0.6)
