"""The comparison's page in a browser: it renders, sorts, and asks for nothing."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.report.browser import CHROMIUM, complaints, evaluated
from unlearning.report.comparison_row import COLUMNS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FINAL = 1 + [column.key for column in COLUMNS].index("final")
SECONDS = len(COLUMNS)
UTILITY = 1 + [column.key for column in COLUMNS].index("utility")
SORT = """
const table = document.querySelector("table.comparison");
const order = (column) => [...table.tBodies[0].rows].map((row) => row.children[column].dataset.value);
const click = (column) => {{
  const heading = table.querySelectorAll("thead th")[column];
  heading.querySelector("button").click();
  return [order(column), heading.getAttribute("aria-sort")];
}};
const requested = performance.getEntriesByType("resource").map((entry) => entry.name);
return [[{clicks}], requested];
"""


@pytest.fixture(scope="module")
def page(page_of: Callable[[str], Path]) -> Path:
    """Return the page of a comparison."""
    return page_of("comparison")


@pytest.fixture(scope="module")
def clicked(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], str]]:
    """Return a column's values and its heading's mark after a click on it, for each click in turn.

    The browser starts once; the page may neither ask for anything nor leave a word on the console.
    """
    columns = {"up": FINAL, "down": FINAL, "other": UTILITY, "again": FINAL}
    columns |= {"names": 0, "short": SECONDS, "long": SECONDS}
    clicks = ", ".join(f"click({column})" for column in columns.values())
    folder = tmp_path_factory.mktemp("clicked")
    (found, requested), console = evaluated(page, folder, SORT.format(clicks=clicks))
    assert (requested, console) == ([], [])
    return {name: (values, mark) for name, (values, mark) in zip(columns, found, strict=True)}


def test_page_is_drawn(page: Path, tmp_path: Path) -> None:
    """In many colours over its whole width, without a word on the console."""
    picture = tmp_path / "page.png"
    _, console = complaints(page, tmp_path, f"--screenshot={picture}", "--window-size=1200,3000")
    assert console == []
    pixels = imread(picture)
    assert pixels.shape[:2] == (3000, 1200)
    colours = {tuple(pixel) for pixel in pixels[::7, ::3, :3].reshape(-1, 3)}
    assert len(colours) > 50
    # Of 20 strips down the page hardly one is blank.
    strips = [float(pixels[start : start + 150, :, :3].std()) for start in range(0, 3000, 150)]
    assert sum(spread > 0.01 for spread in strips) >= 18


def test_a_heading_sorts_both_ways(page: Path, clicked: dict[str, tuple[list[str], str]]) -> None:
    """As comparison.csv has the numbers; then another column, and back."""
    with page.with_name("comparison.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    finals, utilities = ([float(line[key]) for line in lines] for key in ("final", "utility"))
    orders = {name: [float(value) for value in clicked[name][0]] for name in ("up", "down", "other")}
    assert orders == {"up": sorted(finals), "down": sorted(finals, reverse=True), "other": sorted(utilities)}
    marks = [clicked[name][1] for name in ("up", "down", "other", "again")]
    assert marks == ["ascending", "descending", "ascending", "ascending"]


def test_names_sort_as_text_and_missing_numbers_come_last(clicked: dict[str, tuple[list[str], str]]) -> None:
    """Nobody trained the two models that are no methods: their seconds are empty, up and down."""
    assert clicked["names"][0] == sorted(clicked["names"][0])
    for name in ("short", "long"):
        assert clicked[name][0][-2:] == ["", ""]
        assert "" not in clicked[name][0][:-2]


def test_a_request_and_an_error_would_be_noticed(page: Path, tmp_path: Path) -> None:
    """The page's own policy refuses a picture from elsewhere, and the console says so, as it shows an error."""
    changed = tmp_path / "changed.html"
    changed.write_text(page.read_text().replace("<main>", '<main><img src="http://example.invalid/a.png">', 1))
    found, console = evaluated(changed, tmp_path, "console.error('broken'); return 1;")
    assert found == 1
    assert any("example.invalid" in line for line in console)
    assert any("broken" in line for line in console)
