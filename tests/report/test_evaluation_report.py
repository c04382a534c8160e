"""The evaluation section of a run's page, the page of `unlearn-evaluate`, and its table in the terminal."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.fabricated import write_evaluated
from tests.report.test_html import HOSTILE, Page
from unlearning.errors import InputError
from unlearning.evaluation.metrics import METRICS
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.details import read_evaluation
from unlearning.report.evaluation_part import print_result
from unlearning.report.html import write_evaluation_report, write_run_report


@pytest.fixture(scope="module")
def folder(page_of: Callable[[str], Path]) -> Path:
    """Return the folder of an evaluation with its retrained model, and its page."""
    return page_of("evaluation").parent


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """Return the page."""
    return (folder / "report.html").read_text()


def _change(folder: Path, model: str, **values: object) -> None:
    path = folder / "evaluation" / f"{model}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_page_says_the_score_and_what_it_is_made_of(page: str, folder: Path) -> None:
    """With its interval, for the model that was evaluated and the one beside it."""
    result = read_evaluation(folder, "olmo_1b")
    assert result is not None
    final, (low, high) = result.metrics["final"], result.intervals["final"]
    assert f"The final score is {final:.3f} (95% interval [{low:.2f}, {high:.2f}])." in page
    row = re.search(r'<th scope="row">Final score\s↑.*?</tr>', page)
    assert row is not None
    assert f'<td class="number">{final:.3f}<small>[{low:.2f}, {high:.2f}]</small></td>' in row.group()
    assert re.findall(r'<th class="number">(.*?)</th>', page)[:2] == ["olmo_1b", "retrained model"]
    assert "Utility: 60 questions of 5 subjects, cloze format." in page


def test_page_has_figures_tables_and_answers(page: str, folder: Path) -> None:
    """Each title occurs once, in the order of the section."""
    titles = re.findall(r"<h4>(.*?)(?: <small>.*?</small>)?</h4>", page)
    assert titles == [
        "What the final score is made of",
        "The 12 terms of the task aggregate",
        "Membership",
        "Attacks",
        "Memorisation",
        "Forget rows",
        "Retain rows",
    ]
    assert {item.name for item in (folder / "plots").iterdir()} == {"terms.png", "membership.png"}
    assert "48 members and 48 non-members." in page
    assert "1% and 0.1% of 48 is none." in page
    assert "<h5>Expected</h5>" in page
    assert re.search(
        r'<h5>olmo_1b <span class="answer-score">\d\.\d\d</span> <small>\d+ of 22 words</small></h5>', page
    )
    assert page.count("<mark>") > 12


@pytest.mark.usefixtures("undrawn")
def test_answers_are_escaped_and_still_marked(tmp_path: Path) -> None:
    """What a model says is text, also inside a mark."""
    place = write_evaluated(tmp_path / "run", beside=())
    path = place / "evaluation" / "olmo_1b.json"
    rows = [{**item, "generated": HOSTILE, "expected": HOSTILE} for item in json.loads(path.read_text())["generations"]]
    _change(place, "olmo_1b", generations=rows)
    text = write_evaluation_report(place).read_text()
    assert "script" not in Page(text).tags
    assert "&lt;<mark>script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;quoted" in text


@pytest.mark.usefixtures("undrawn")
def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """The page says what is missing, and has no final score."""
    place = write_evaluated(tmp_path / "run", beside=())
    metrics = json.loads((place / "metrics.json").read_text())["olmo_1b"] | {"utility": None, "final": None}
    _change(place, "olmo_1b", metrics=metrics, missing=["utility: the data has no questions"])
    text = write_evaluation_report(place).read_text()
    assert "There is no final score: parts of it could not be measured." in text
    assert "<li>utility: the data has no questions</li>" in text


def test_a_loss_of_utility_that_the_task_did_not_allow_is_said(compared: Path) -> None:
    """Gradient ascent keeps 0.26 / 0.62 = 42% of the target's utility; the two others 89% and 92%."""
    page = (compared / "report.html").read_text()
    assert "Utility is 42% of the untouched target&#39;s. The task gave no award below 75%." in page
    assert page.count("The task gave no award") == 1


def test_table_of_a_single_run_has_its_interval_and_of_several_that_over_seeds(compared: Path) -> None:
    """Brackets tell an interval from a range, and a note says so."""
    page = (compared / "report.html").read_text()
    rows = dict(re.findall(r'<th scope="row" data-value="(.*?)">.*?</th>(.*?)</tr>', page, re.DOTALL))
    cells = {name: re.findall(r"<small>(.*?)</small>", row) for name, row in rows.items()}
    result = read_evaluation(compared / "chunked_lora", "unlearned")
    assert result is not None
    low, high = result.intervals["task_aggregate"]
    assert cells["chunked_lora"][0] == f"[{low:.2f}, {high:.2f}]"
    assert len(cells["chunked_lora"]) == 8
    # Membership score and utility are the same in all three runs.
    assert len(cells["layer_freeze"]) == 7
    assert all(re.fullmatch(r"\d+(\.\d+)?–\d+(\.\d+)?", text) for text in cells["layer_freeze"])
    assert "of a single run: over other documents and questions" in page
    assert "low–high: least and greatest of them" in page


def test_intervals_are_in_the_csv_of_the_comparison(compared: Path) -> None:
    """Of a single run its own; of several seeds that of their mean."""
    lines = (compared / "comparison.csv").read_text().splitlines()
    place = lines[0].split(",").index("final_low_95")
    found = {line.split(",")[1]: line.split(",")[place] for line in lines[1:]}
    result = read_evaluation(compared / "chunked_lora", "unlearned")
    assert result is not None
    assert float(found["chunked_lora"]) == result.intervals["final"][0]
    finals = [json.loads((compared / "layer_freeze" / f"seed{seed}" / "metrics.json").read_text()) for seed in range(3)]
    assert found["layer_freeze"] == ""
    least = {line.split(",")[1]: line.split(",")[place - 2] for line in lines[1:]}
    assert float(least["layer_freeze"]) == min(item["unlearned"]["final"] for item in finals)


@pytest.mark.usefixtures("undrawn")
def test_half_a_result_is_no_result(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    """An evaluation that cannot be read leaves the numbers of metrics.json; an interval with a gap is none."""
    place = write_run(tmp_path / "run", documents=2)
    _change(place, "retrained", intervals={"final": [0.1, None], "utility": [0.2, 0.3]})
    retrained = read_evaluation(place, "retrained")
    assert retrained is not None
    assert retrained.intervals == {"utility": [0.2, 0.3]}
    (place / "evaluation" / "unlearned.json").write_text("{}")
    final = json.loads((place / "metrics.json").read_text())["unlearned"]["final"]
    row = re.search(r'<th scope="row">Final score\s↑.*?</tr>', write_run_report(place).read_text())
    assert row is not None
    assert f'<td class="number">{final:.3f}<small></small></td>' in row.group()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metrics.json", None, r"metrics\.json: No such file"),
        ("metrics.json", '{"missing": []}', "names no model with an evaluation of this version"),
        ("evaluation/olmo_1b.json", "{}", "names no model with an evaluation of this version"),
    ],
)
def test_a_folder_without_an_evaluation_is_one_line(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    """The message is one line and names the file."""
    place = write_evaluated(tmp_path / "run", beside=())
    (place / name).unlink() if content is None else (place / name).write_text(content)
    with pytest.raises(InputError, match=reason) as caught:
        write_evaluation_report(place)
    assert "\n" not in str(caught.value)


def test_every_measured_metric_has_a_line_with_its_interval() -> None:
    """On 80 columns; the metrics without a number are named below, whole, and the reasons come last."""
    result = EvaluationResult(
        {"final": 0.4893, "forget_knowledge": 0.25}, {"final": [0.45, 0.53]}, missing=["utility: no [questions]"]
    )
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_result("[model]", result, console)
    text = console.export_text()
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert set(METRICS) & set(lines) == set(result.metrics)
    assert lines["final"].split()[1:5] == ["0.489", "[0.45,", "0.53]", "↑"]
    assert lines["forget_knowledge"].split()[1:3] == ["0.250", "↓"]
    below = text[text.index("not measured: ") : text.index("missing: ")]
    assert below.removeprefix("not measured: ").replace(",", "").split() == [
        key for key in METRICS if key not in result.metrics
    ]
    assert "[model]" in text
    assert text.rstrip().endswith("missing: utility: no [questions]")
