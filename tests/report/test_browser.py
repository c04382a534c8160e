"""The comparison's page in a browser: it renders, sorts, and asks for nothing."""

import csv
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from tests.report.browser import CHROMIUM, complaints, evaluated
from unlearning.report.comparison_row import COLUMNS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FINAL = 1 + [column.key for column in COLUMNS].index("final")
UTILITY = 1 + [column.key for column in COLUMNS].index("utility")
SORT = """
const table = document.querySelector("table.comparison");
const order = (column) => [...table.tBodies[0].rows].map((row) => row.children[column].dataset.value);
const click = (column) => {{
  const heading = table.querySelectorAll("thead th")[column];
  heading.querySelector("button").click();
  return [order(column), heading.getAttribute("aria-sort")];
}};
return [{clicks}];
"""


def sorted_by(page: Path, folder: Path, *columns: int) -> list[tuple[list[str], str]]:
    """The column's values, and its heading's mark, after a click on each in turn."""
    clicks = ", ".join(f"click({column})" for column in columns)
    found, console = evaluated(page, folder, SORT.format(clicks=clicks))
    assert console == []
    return [(values, mark) for values, mark in found]


@pytest.mark.parametrize("width", [1200, 420])
def test_page_is_drawn(swept: Path, tmp_path: Path, width: int) -> None:
    """In many colours over its whole width, without a word on the console."""
    picture = tmp_path / "page.png"
    _, console = complaints(swept / "report.html", tmp_path, f"--screenshot={picture}", f"--window-size={width},3000")
    assert console == []
    pixels = imread(picture)
    assert pixels.shape[:2] == (3000, width)
    colours = {tuple(pixel) for pixel in pixels[::7, ::3, :3].reshape(-1, 3)}
    assert len(colours) > 50
    # Of 20 strips down the page hardly one is blank.
    strips = [float(pixels[start : start + 150, :, :3].std()) for start in range(0, 3000, 150)]
    assert sum(spread > 0.01 for spread in strips) >= 18


def test_page_fits_a_telephone(swept: Path, tmp_path: Path) -> None:
    """The page is not wider than the screen; what is wider scrolls in its own frame."""
    copy = tmp_path / "framed.html"
    page = swept / "report.html"
    narrow = "<style>body { width: 390px; }</style></head>"
    copy.write_text(page.read_text().replace("</head>", narrow, 1))
    widths, _ = evaluated(copy, tmp_path, "return [document.body.scrollWidth, document.body.clientWidth];")
    assert widths[0] <= widths[1]


def test_a_heading_sorts_both_ways(swept: Path, tmp_path: Path) -> None:
    """As comparison.csv has the numbers; then another column, and back."""
    with (swept / "comparison.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    finals, utilities = ([float(line[key]) for line in lines] for key in ("final", "utility"))
    up, down, other, again = sorted_by(swept / "report.html", tmp_path, FINAL, FINAL, UTILITY, FINAL)
    assert [float(value) for value in up[0]] == sorted(finals)
    assert [float(value) for value in down[0]] == sorted(finals, reverse=True)
    assert [float(value) for value in other[0]] == sorted(utilities)
    assert [mark for _, mark in (up, down, other, again)] == ["ascending", "descending", "ascending", "ascending"]


def test_names_sort_as_text_and_missing_numbers_come_last(swept: Path, tmp_path: Path) -> None:
    """Nobody trained the two models that are no methods: their seconds are empty, up and down."""
    seconds = len(COLUMNS)
    names, up, down = sorted_by(swept / "report.html", tmp_path, 0, seconds, seconds)
    assert names[0] == sorted(names[0])
    for values, _ in (up, down):
        assert values[-2:] == ["", ""]
        assert "" not in values[:-2]


def test_page_asks_for_nothing(swept: Path, tmp_path: Path) -> None:
    """The browser's own list of what the page requested is empty."""
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name);"
    requested, console = evaluated(swept / "report.html", tmp_path, script)
    assert requested == []
    assert console == []


def test_a_request_would_be_noticed(swept: Path, tmp_path: Path) -> None:
    """The page's own policy refuses a picture from elsewhere, and the console says so."""
    page = tmp_path / "changed.html"
    text = (swept / "report.html").read_text()
    page.write_text(text.replace("<main>", '<main><img src="http://example.invalid/a.png">', 1))
    _, console = complaints(page, tmp_path, "--dump-dom")
    assert any("example.invalid" in line for line in console)


def test_an_error_would_be_noticed(swept: Path, tmp_path: Path) -> None:
    """The console shows an error of the page."""
    found: tuple[Any, list[str]] = evaluated(swept / "report.html", tmp_path, "console.error('broken'); return 1;")
    assert found[0] == 1
    assert any("broken" in line for line in found[1])
