"""The page of a sweep: what is selected, what the settings do, and what became of the other jobs."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean

import pytest

from tests.report.fabricated_sweep import RATES, change_config, change_metrics
from tests.report.test_sensitivity import explained
from unlearning.commands.comparison import report_on
from unlearning.config.report import ConstraintConfig, SelectConfig
from unlearning.report import comparison_view
from unlearning.report.comparison_figures import MAX_BARS, bars
from unlearning.report.comparison_view import shown_methods, varied_settings
from unlearning.report.pareto import front_labels
from unlearning.report.runs import find_runs
from unlearning.report.summary import summarise

FILES = {"final.png", "tradeoff.png", "sensitivity.png", "parallel.png", "budget.png"}


class Words(HTMLParser):
    """What a reader sees, without the figures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.hidden += tag in ("svg", "style", "script")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("svg", "style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


@pytest.fixture(scope="module")
def words(swept: Path) -> str:
    """Return the page's text on one line."""
    return " ".join(" ".join(Words((swept / "report.html").read_text()).parts).split())


def finals(folder: Path, key: str) -> list[list[float]]:
    """Return final scores of the finished runs by a column of runs.csv."""
    with (folder / "runs.csv").open(newline="") as handle:
        lines = [line for line in csv.DictReader(handle) if line["state"] == "finished"]
    values = sorted({line[key] for line in lines})
    return [[float(line["final"]) for line in lines if line[key] == value] for value in values]


def test_files(swept: Path) -> None:
    """The report has a page, its pictures and its tables."""
    assert {item.name for item in (swept / "plots").iterdir()} == FILES
    for name in ("report.html", "comparison.csv", "comparison.tex", "runs.csv", "selection.json"):
        assert (swept / name).stat().st_size > 0


def test_page_states_the_rule_and_the_selection(swept: Path, words: str) -> None:
    """As selection.json does, whose runs are folders with just these settings."""
    (record,) = json.loads((swept / "selection.json").read_text())
    assert f"Rule: {record['rule']}." in words
    selected = record["selected"]
    final = selected["numbers"]["final"]
    assert f"Selected: {selected['method']} (final score {final['mean']:.3f} {final['least']:.2f}–" in words
    scores = []
    for place in selected["runs"]:
        metrics = json.loads((swept / place / "metrics.json").read_text())
        scores.append(metrics["unlearned"]["final"])
        assert metrics["unlearned"]["utility"] > record["threshold"] - 0.1
    assert selected["numbers"]["final"]["mean"] == pytest.approx(fmean(scores))
    assert selected["settings"]["optimizer.lr"] in RATES


def test_the_condition_changes_the_selection(swept: Path) -> None:
    """The greatest rate has the best membership score and loses utility: free, it wins; by default it may not."""
    chosen = []
    for select in (SelectConfig(by="mia_score"), SelectConfig(by="mia_score", constraint=None)):
        choice = summarise(find_runs(swept), select).sections[0].choice
        assert choice is not None
        assert choice.row is not None
        chosen.append(choice.row.representative.config["optimizer"]["lr"])
    assert chosen == [RATES[1], RATES[2]]


def test_ranking_is_that_of_the_runs(swept: Path, words: str) -> None:
    """The ranking is eta squared of runs.csv, with the rate before the method."""
    rate, method = explained(finals(swept, "optimizer.lr")), explained(finals(swept, "method"))
    assert rate is not None
    assert method is not None
    assert rate > method
    # 3 and 2 values of 12 runs: 2 / 11 and 1 / 11 by chance.
    assert (
        f"Of all settings, optimizer.lr explains most: by itself {rate:.0%} of the variance of the final score "
        "(18% would be chance); "
    ) in words
    assert re.search(rf"optimizer.lr 3 12 {rate:.2f} ", words)
    assert "Interactions are not in it" in words


def test_means_of_each_value(swept: Path, words: str) -> None:
    """The table that opens has the means of each value."""
    means = [fmean(values) for values in finals(swept, "optimizer.lr")]
    for label, mean in zip(("0.0001248", "0.001", "1e-05"), means, strict=True):
        assert re.search(rf"{label} 4 {mean:.3f} ", words)


def test_troubles_are_shown(words: str) -> None:
    """Why a run stopped early beside its numbers; of the others state, settings, error and how to go on."""
    assert "1 of 2 stopped early by collapse" in words
    assert "1 of 3 without a result" in words
    assert (
        "90-grad_ascent method=chunked_lora, optimizer.lr=1e-05, seed=7 failed "
        "training diverged at step 31: the loss is nan unlearn method=grad_ascent hydra.run.dir=90-grad_ascent"
    ) in words
    assert "92-grad_ascent method=grad_ascent, optimizer.lr=0.001, seed=0 running unlearn" in words


def test_front_is_named(swept: Path, words: str) -> None:
    """The page names the front that comparison.csv has."""
    with (swept / "comparison.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    labels = {line["model"] for line in lines if line["front_utility"] == "1"}
    said = re.search(r"General knowledge: (.*?)\. What the settings do", words)
    assert said
    assert set(said.group(1).split("; ")) == labels


@pytest.mark.usefixtures("undrawn")
def test_a_folder_of_unfinished_jobs_has_a_page(tmp_path: Path, write_failed: Callable[..., Path]) -> None:
    """The page lists the jobs; there is nothing to compare."""
    write_failed(tmp_path / "0")
    write_failed(tmp_path / "1", "running", None)
    words = " ".join(Words(report_on(tmp_path, None).read_text()).parts)
    assert "Runs without a result" in words
    assert json.loads((tmp_path / "selection.json").read_text()) == []
    assert (tmp_path / "comparison.csv").read_text().count("\n") == 1


@pytest.mark.usefixtures("undrawn")
def test_half_written_jobs_do_not_break_the_page(
    tmp_path: Path, write_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """One without numbers, one whose numbers are cut off; the finished one is compared."""
    for name in ("a", "b", "c"):
        write_run(tmp_path / name, "grad_ascent", documents=1)
    (tmp_path / "b" / "status.json").write_text('{"state": "running"}')
    (tmp_path / "b" / "metrics.json").unlink()
    (tmp_path / "c" / "metrics.json").write_text('{"unlearned": {"final": 0.')
    page = report_on(tmp_path, None)
    assert "1 of 3 run folders left out" in capsys.readouterr().err
    assert "<h2>Runs without a result</h2>" in page.read_text()


@pytest.mark.usefixtures("undrawn")
def test_the_page_goes_where_it_is_told_and_by_the_rule_it_is_told(
    tmp_path: Path, write_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders of the runs are named as seen from there; nothing is written beside the runs."""
    for rate in RATES[:2]:
        change_config(write_run(tmp_path / "runs" / str(rate), "grad_ascent", documents=1), "optimizer", lr=rate)
    change_metrics(tmp_path / "runs" / str(RATES[1]), "unlearned", utility=0.9)
    report_on(tmp_path / "runs", tmp_path / "out", SelectConfig(by="utility", constraint=None))
    assert "rule: highest mean utility over seeds\n" in capsys.readouterr().out
    (record,) = json.loads((tmp_path / "out" / "selection.json").read_text())
    assert record["selected"]["runs"] == [f"../runs/{RATES[1]}"]
    assert {item.name for item in (tmp_path / "runs").iterdir()} == {str(rate) for rate in RATES[:2]}


@pytest.mark.usefixtures("undrawn")
def test_one_key_or_three_runs_have_no_parallel_coordinates(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    """Two rates with two seeds each: sensitivity alone. Three runs of two keys: neither."""
    for index in range(4):
        job = write_run(tmp_path / "one" / f"{index}", "grad_ascent", index % 2, documents=1)
        change_config(job, "optimizer", lr=RATES[index // 2])
        change_metrics(job, "unlearned", final=0.1 * index)
    view = comparison_view.sweep_view(summarise(find_runs(tmp_path / "one")).sections[0].methods)
    assert view is not None
    assert [item.name for item in view.pictures] == ["sensitivity"]
    for index in range(3):
        job = write_run(tmp_path / "two" / f"{index}", "grad_ascent", documents=1)
        change_config(job, "optimizer", lr=RATES[index])
        change_config(job, "ratio", retain_per_forget=index)
    assert comparison_view.sweep_view(summarise(find_runs(tmp_path / "two")).sections[0].methods) is None


def test_of_very_many_methods_the_most_telling_are_shown(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The selected one, those on a front, the best; in the order of the table. The page counts the others."""
    section = summarise(find_runs(swept), SelectConfig()).sections[0]
    labels = [row.label for row in section.methods]
    assert [row.label for row in shown_methods(section)] == labels
    monkeypatch.setattr(comparison_view, "MAX_SECTIONS", 1)
    selected = [row.label for row in section.rows if row.selected]
    assert [row.label for row in shown_methods(section)] == selected
    monkeypatch.setattr(comparison_view, "MAX_SECTIONS", 5)
    kept = [row.label for row in shown_methods(section)]
    assert len(kept) == 5
    assert kept == [label for label in labels if label in kept]
    assert {label for labels in front_labels(section.rows).values() for label in labels} <= set(kept)


def test_of_very_many_methods_the_best_have_bars(swept: Path) -> None:
    """The best methods have bars, and so have the two models that are no methods."""
    rows = summarise(find_runs(swept)).sections[0].rows
    many = [
        replace(row, label=f"{row.label} {index}") for row in rows for index in range(10 if row.role == "method" else 1)
    ]
    kept = bars(many)
    assert len(kept) == MAX_BARS + 2
    assert {row.role for row in kept} == {"target", "retrained", "method"}


def test_settings_of_unfinished_jobs_leave_out_what_is_the_same(swept: Path) -> None:
    """Settings of tracing are left out, since these jobs have not traced."""
    assert [settings for _, settings in varied_settings(summarise(find_runs(swept)))] == [
        "method=chunked_lora, optimizer.lr=1e-05, seed=7",
        "method=grad_ascent, optimizer.lr=0.0001248, seed=0",
        "method=grad_ascent, optimizer.lr=0.001, seed=0",
    ]


@pytest.mark.usefixtures("undrawn")
def test_view_of_methods_that_ran_once_has_no_ranking(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    """No value has two runs, so nothing can be told of it."""
    for method in ("grad_ascent", "chunked_lora"):
        write_run(tmp_path / method, method, documents=1)
    section = summarise(find_runs(tmp_path), SelectConfig(constraint=ConstraintConfig())).sections[0]
    assert comparison_view.sweep_view(section.methods) is None
