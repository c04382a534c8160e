"""The page: self-contained, escaped, and with the numbers of the runs."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.report.pages import PAGES
from unlearning.report.comparison_row import COLUMNS
from unlearning.report.html import write_run_report
from unlearning.report.runs import find_runs
from unlearning.report.statistic import number
from unlearning.report.summary import summarise

HOSTILE = "<script>alert('x')</script> & \"quoted\" $\\frac{1}{0}$ {{ 7 * 7 }}"


class Page(HTMLParser):
    """Everything that a browser would load and run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if tag == "td" and name == "data-value":
                self.cells.append(value or "")


@pytest.fixture
def page(compared: Path) -> str:
    """Return the comparison's page."""
    return (compared / "report.html").read_text()


@pytest.mark.parametrize("kind", PAGES)
def test_every_page_is_one_file(kind: str, page_of: Callable[[str], Path]) -> None:
    """It loads nothing, tells no home folder, shows no number that is none, and uses no id twice."""
    # One of the made-up jobs failed with these words.
    text = page_of(kind).read_text().replace("the loss is nan", "")
    read = Page(text)
    assert all(link.startswith(("#", "data:")) for link in read.links)
    assert not read.handlers
    assert not {"link", "iframe", "object", "embed"} & set(read.tags)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", text)
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'<\s]+", text)) <= namespaces
    assert "default-src 'none'" in text
    assert not re.search(r"\bnan\b|\bNaN\b|\bNone\b|\binf\b|Infinity|somebody", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 0


def test_page_has_a_sortable_table_with_the_numbers(page: str, compared: Path) -> None:
    assert '<table class="comparison">' in page
    assert page.count('aria-sort="none"') == len(COLUMNS) + 1
    values = [
        row.values.get(column.key) for row in summarise(find_runs(compared)).sections[0].rows for column in COLUMNS
    ]
    assert Page(page).cells == ["" if value is None else str(value.mean) for value in values]
    texts = re.findall(r'<td class="number[^>]* data-value[^>]*>([^<]*)', page)
    keys = [column.key for column in COLUMNS] * (len(values) // len(COLUMNS))
    shown = [number(value.mean, key) if value else "" for value, key in zip(values, keys, strict=True)]
    assert texts == shown


def test_page_has_every_figure_once(page: str) -> None:
    assert page.count("<h3>Causal tracing</h3>") == 1
    assert page.count("<h4>The choice of layers</h4>") == 1
    assert page.count("<h4>The 12 terms of the task aggregate</h4>") == 3


def test_page_lists_runs_without_a_result(page: str) -> None:
    assert "out of memory [2 GiB]" in page
    assert "unlearn method=grad_ascent hydra.run.dir=failed" in page


def test_files_beside_the_page(compared: Path) -> None:
    for name in ("comparison.csv", "comparison.tex", "runs.csv", "selection.json"):
        assert (compared / name).is_file(), name
    assert {item.name for item in (compared / "plots").iterdir()} == {"final.png", "tradeoff.png", "sensitivity.png"}
    assert len(find_runs(compared)) == 6


@pytest.mark.usefixtures("undrawn")
def test_hostile_text_is_escaped(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "run", documents=2)
    path = folder / "evaluation" / "unlearned.json"
    evaluation = json.loads(path.read_text())
    for item in evaluation["generations"]:
        item |= {"generated": HOSTILE, "input": HOSTILE, "expected": HOSTILE}
    path.write_text(json.dumps(evaluation))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["method"] = HOSTILE
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    text = write_run_report(folder).read_text()
    read = Page(text)
    assert read.tags.count("script") == 1
    assert not read.handlers
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_report_of_one_run(page_of: Callable[[str], Path]) -> None:
    path = page_of("run")
    folder = path.parent
    assert path.name == "report.html"
    assert {item.name for item in (folder / "plots").iterdir()} == {
        "curves.png",
        "terms.png",
        "membership.png",
        "trace_effects.png",
        "trace_severed.png",
        "trace_selection.png",
        "probes.png",
        "efforts.png",
    }
    final = json.loads((folder / "metrics.json").read_text())["unlearned"]["final"]
    assert f"{final:.3f}" in path.read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_stopped_early_says_so(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    """The page says why the run stopped, and after which step the weights were kept."""
    folder = write_run(tmp_path / "run", documents=2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["training"] |= {"stopped": "collapse", "best_step": 12}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    page = re.sub(r"<[^>]+>|\s+", " ", write_run_report(folder).read_text())
    page = re.sub(r"\s+", " ", page)
    assert "stopped early by collapse" in page
    assert "best step 12" in page


@pytest.mark.usefixtures("undrawn")
def test_report_of_a_failed_run_says_why(tmp_path: Path, write_failed: Callable[..., Path]) -> None:
    text = write_run_report(write_failed(tmp_path / "run")).read_text()
    assert "out of memory [2 GiB]" in text


@pytest.mark.usefixtures("undrawn")
def test_report_without_references_membership_and_curve(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "run", documents=2)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {"target": None, "retrained": None, "missing": ["mia_score: no documents given"]}
    attacked = [key for key in metrics["unlearned"] if key.startswith("mia_")]
    metrics["unlearned"] |= dict.fromkeys([*attacked, "final"])
    (folder / "metrics.json").write_text(json.dumps(metrics))
    for name in ("evaluation/target.json", "evaluation/retrained.json", "layers.json", "loss_curve.csv"):
        (folder / name).unlink()
    evaluation = json.loads((folder / "evaluation" / "unlearned.json").read_text())
    evaluation |= {"membership": [], "metrics": metrics["unlearned"], "missing": metrics["missing"]}
    (folder / "evaluation" / "unlearned.json").write_text(json.dumps(evaluation))
    text = write_run_report(folder).read_text()
    assert "no documents given" in text
    assert (
        text.count("<strong>No final score: a part of it is missing</strong>\n<ul>\n<li>mia_score: no documents given")
        == 1
    )
    assert "<h4>Membership</h4>" not in text
    assert "<h4>Attacks" not in text
    assert "<h5>unlearned <span" in text
    assert "<h5>untouched target <span" not in text
