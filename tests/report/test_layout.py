"""Every kind of page, as a reader sees it at three widths: straight tables, whole texts, no number missing."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.browser import CHROMIUM
from tests.report.layout import Seen, Table, look
from tests.report.pages import PAGES
from unlearning.mediation.tracing import load_tracing
from unlearning.report.comparison_row import COLUMNS
from unlearning.report.details import read_evaluation
from unlearning.report.statistic import number

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
WIDTHS = (1400, 1000, 420)
FAULTS = {
    "a class that clashes": ("run", "<style>.scores-part { display: inline-block }</style>", "not under its heading"),
    "a cell too few": (
        "run",
        "<script>document.querySelector('tbody tr').lastElementChild.remove()</script>",
        "cells under",
    ),
    "numbers at the other side": (
        "run",
        "<style>.scores { width: 3000px } .scores td.number { text-align: left }</style>",
        "beside its heading",
    ),
    "a wide picture": ("trace", "<style>details img { width: 2000px }</style>", "the page is"),
    "a word that leaves its frame": (
        "probes",
        "<style>h1 { white-space: nowrap; overflow-wrap: normal }</style>",
        "out of its h1",
    ),
    "a heading over a table": ("evaluation", "<style>h4 { margin-bottom: -2em }</style>", "over one another"),
    "letters of a figure that are too large": (
        "run",
        "<style>svg text { font-size: 30px !important }</style>",
        "over one another",
    ),
}
"""What goes wrong, on which page, how it is brought about, and what the check says of it."""


@pytest.fixture(scope="module")
def pages(page_of: Callable[[str], Path]) -> dict[str, Path]:
    """Return the five pages, by kind."""
    return {kind: page_of(kind) for kind in PAGES}


@pytest.fixture(scope="module")
def seen(pages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """What is seen of the pages at all widths, and of pages with faults, after one start of the browser."""
    texts = {kind: path.read_text() for kind, path in pages.items()}
    given = {f"{kind} {width}": (text, width) for kind, text in texts.items() for width in WIDTHS}
    for name, (kind, change, _) in FAULTS.items():
        given[name] = (texts[kind].replace("</body>", f"{change}</body>"), WIDTHS[-1])
    return look(given, tmp_path_factory.mktemp("seen"))


def table(seen: dict[str, Seen], page: str, name: str) -> Table:
    """Return the first table of a class on a page."""
    return next(item for item in seen[page].tables if item.name.split()[0] == name)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_out_of_place(kind: str, width: int, seen: dict[str, Seen]) -> None:
    """Cells stand under their headings, texts stay in their frames, and no two of them overlap."""
    assert seen[f"{kind} {width}"].complaints == []


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, seen: dict[str, Seen]) -> None:
    """The check complains of each kind of fault, so that its silence means something."""
    assert any(FAULTS[fault][2] in line for line in seen[fault].complaints), seen[fault].complaints


@pytest.mark.parametrize("width", WIDTHS)
def test_comparison_has_every_number_of_its_file(width: int, pages: dict[str, Path], seen: dict[str, Seen]) -> None:
    """Each cell begins with the mean that comparison.csv has for it, and with nothing where the file has none."""
    found = table(seen, f"comparison {width}", "comparison")
    with pages["comparison"].with_name("comparison.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert len(found.rows) == len(lines)
    for cells, line in zip(found.rows, lines, strict=True):
        for cell, column in zip(cells[1:], COLUMNS, strict=True):
            shown = " ".join(cell).removeprefix("★ ")
            assert shown.split(" ")[0] == (number(float(value), column.key) if (value := line[column.key]) else "")


@pytest.mark.parametrize(
    ("kind", "models"),
    [("run", ("target", "unlearned", "retrained")), ("evaluation", ("olmo_1b", "retrained", "target"))],
)
def test_scores_have_every_number_of_their_files(
    kind: str, models: tuple[str, ...], pages: dict[str, Path], seen: dict[str, Seen]
) -> None:
    """The four scores of each model stand in its own column, with their intervals."""
    found = table(seen, f"{kind} 1400", "scores")
    rows = {row[0][0].split(" ↑")[0].split("\u00a0↑")[0]: row[1:] for row in found.rows}
    names = {
        "Final score": "final",
        "Task aggregate": "task_aggregate",
        "Membership score": "mia_score",
        "Utility": "utility",
    }
    for place, model in enumerate(models):
        result = read_evaluation(pages[kind].parent, model)
        assert result is not None
        for name, key in names.items():
            low, high = result.intervals[key]
            assert " ".join(rows[name][place]).split(" ", 1) == [
                f"{result.metrics[key]:.3f}",
                f"[{low:.2f}, {high:.2f}]",
            ]
    assert all(cell for row in found.rows for cell in row)


def test_probes_have_every_number_of_their_file(pages: dict[str, Path], seen: dict[str, Seen]) -> None:
    """Each value stands under its model; a probe that does not apply has its reason in place of numbers."""
    found = table(seen, "probes 1400", "probes")
    for cells, probe in zip(
        found.rows, json.loads(pages["probes"].with_name("probes.json").read_text())["probes"], strict=True
    ):
        if probe["reason"] is not None:
            assert cells[1] == [f"does not apply: {probe['reason']}"]
            continue
        numbers = [probe["values"].get(role) for role in ("target", "unlearned", "retrained")] + [probe["share"]]
        shown = ["-" if item is None else f"{item['value']:.3f}".replace("-", "−") for item in numbers]
        assert [cell[0] for cell in cells[2:]] == shown


def test_traces_have_every_number_of_their_file(pages: dict[str, Path], seen: dict[str, Seen]) -> None:
    """A line for each layer and a column for each restoration, none of them empty."""
    found = table(seen, "trace 1400", "numbers")
    effects = load_tracing(pages["trace"].parent).effects.restorations
    assert found.headings[1:] == [item.restoration.label for item in effects]
    for layer, cells in enumerate(found.rows):
        means = [f"{item.effect.mean[layer]:z.3f}".replace("-", "−") for item in effects]
        assert [cell[0] for cell in cells] == [str(layer), *means]
