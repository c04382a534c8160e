"""What the page says about causal tracing."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.fabricated_trace import CONFIG, layers_text, write_trace_run
from tests.report.pages import WARNING
from tests.report.test_html import HOSTILE, Page
from unlearning.errors import InputError
from unlearning.mediation.tracing import load_tracing
from unlearning.report.details import read_tracing
from unlearning.report.html import write_run_report, write_trace_report
from unlearning.report.runs import find_runs
from unlearning.report.trace_part import facts, trace_part


@pytest.fixture(scope="module")
def folder(page_of: Callable[[str], Path]) -> Path:
    """A trace of everything, with its plots, a warning and its page."""
    return page_of("trace").parent


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """Return the trace's page."""
    return (folder / "report.html").read_text()


def test_page_says_what_was_found_and_how_sure_it_is(page: str, folder: Path) -> None:
    tracing = load_tracing(folder)
    layers = tracing.selection.layers
    assert layers == tuple(range(layers[0], layers[-1] + 1))
    assert f"The rule confidence chose the mlp of layers {layers[0]}–{layers[-1]} of 16, " in page
    shown = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    total = tracing.effects.total
    interval = f"95% interval {total.low:.2f} to {total.high:.2f}"
    assert shown["total effect"] == f"{total.mean:.2f} nats a token ({interval})"
    effect = tracing.effects.of(tracing.deciding).effect.mean
    assert shown["largest effect, mlp, window 10"].startswith(f"{max(effect):.2f} at layer {effect.index(max(effect))}")
    assert shown["facts traced"] == "24 of 12 persons"
    assert shown["facts not known to the model"] == "3"
    assert shown["facts not changed by the corruption"] == "1"
    assert shown["facts not needed"] == "97"
    assert "facts without another person&#39;s name to put in" not in shown
    assert shown["rule"] == "confidence, 0.95"
    assert shown["stability of the choice"].startswith(f"{tracing.selection.stability:.2f} ")
    assert shown["measured"] == "exact, denoising, noise, 2 runs a fact, tokens: grid"


@pytest.mark.usefixtures("undrawn")
def test_page_shows_warnings_where_there_are_any(page: str, tmp_path: Path) -> None:
    assert f"<li>{WARNING}</li>" in page
    assert 'class="warning"' in page
    sure = write_trace_report(write_trace_run(tmp_path / "run", "plain", 8, warnings=[]))
    assert 'class="warning"' not in sure.read_text()


def test_page_has_every_figure_with_a_sentence_on_how_to_read_it(page: str) -> None:
    titles = ["Indirect effect, layer by layer", "Severed paths", "Which tokens carry it", "The choice of layers"]
    found = re.findall(r"<figure>\n<h4>(.*?)</h4>.*?<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    assert [title for title, _ in found] == titles
    assert "comes back when one part of the corrupted run gets the state it has in the clean run." in found[0][1]
    assert "a dot marks a 95% interval that excludes 0" in found[2][1]


def test_page_has_baselines_and_all_numbers(page: str, folder: Path) -> None:
    selection = load_tracing(folder).selection
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td class="number">(\d+)</td>', page)
    assert rows[0] == ("chosen", f"{selection.layers[0]}–{selection.layers[-1]}", str(len(selection.layers)))
    assert [name for name, _, _ in rows[1:]] == ["window 1", "random", "first", "middle", "last", "gradient", "fisher"]
    shared = len(set(selection.layers) & set(selection.baselines["random"]))
    assert rows[2][2] == str(shared)
    assert page.count('<table class="numbers">') == 4
    curve = load_tracing(folder).effects.restorations[0].by_group["last"]
    cell = f"{curve.mean[0]:z.3f}<small>{curve.low[0]:z.2f} to {curve.high[0]:z.2f}</small>"
    assert cell.replace("-", "−") in page


def test_page_holds_single_facts(page: str) -> None:
    assert Page(page).tags.count("img") == 1


@pytest.mark.usefixtures("undrawn")
def test_hostile_warnings_are_escaped(tmp_path: Path) -> None:
    text = write_trace_report(write_trace_run(tmp_path / "run", "plain", 8, warnings=[HOSTILE])).read_text()
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"direction": "noising"},
            "is lost when one part of the clean run gets the state it has in the corrupted run.",
        ),
        (
            {"mode": "weights", "direction": "denoising"},
            "comes back when one part of the base model gets the weights it has in the traced model.",
        ),
        ({"mode": "screen"}, "Estimates to first order, not measured."),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_caption_says_what_an_effect_is(changes: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = write_trace_run(tmp_path / "run", "plain", 8, **changes)
    assert sentence in trace_part(load_tracing(folder), folder).pictures[0].caption


def test_how_it_was_measured_in_other_modes(tmp_path: Path) -> None:
    ranks = {"facts": 4, "correlation": {"mlp": 0.5}, "correlation_of_means": {"mlp": 0.876, "layer": None}}
    folder = write_trace_run(
        tmp_path / "run", "plain", 8, mode="screen", corruption="base_model", screening=ranks, noise_share=None
    )
    said = dict(facts(load_tracing(folder)))
    assert said["measured"] == "screen, denoising, base model, 2 runs a fact, tokens: subject"
    assert said["rank correlation with exact effects, mlp"] == "0.88"
    assert said["rank correlation with exact effects, layer"] == "unknown"
    assert "variance due to the finite number of runs" not in said
    weights = write_trace_run(tmp_path / "weights", "plain", 8, mode="weights")
    assert dict(facts(load_tracing(weights)))["measured"] == "weights, denoising"


@pytest.mark.usefixtures("undrawn")
def test_report_of_a_run_that_traced(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_run(tmp_path / "run", documents=2)
    content = {**json.loads(layers_text("plain", 8)), "warnings": [WARNING]}
    (folder / "layers.json").write_text(json.dumps(content))
    (folder / "plots").mkdir()
    for number in (10, 9):
        (folder / "plots" / f"trace_fact_{number}.png").write_bytes(f"{number}".encode())
    text = write_run_report(folder).read_text()
    assert text.count("<h3>Causal tracing</h3>") == 1
    assert f"<li>{WARNING}</li>" in text
    assert text.index("The 12 terms") < text.index("Forget rows") < text.index("Causal tracing")
    images = re.findall(r'<img src="data:image/png;base64,(.*?)" alt="(.*?)">', text)
    assert [base64.b64decode(image) for image, _ in images] == [b"9", b"10"]
    assert images[0][1] == "Effect of every token at every layer for fact 1"


@pytest.mark.parametrize("key", ["stability", "counts", "parameters", "direction", "noise_share", "screening"])
@pytest.mark.usefixtures("undrawn")
def test_half_a_run_is_reported_without_tracing(key: str, tmp_path: Path, write_run: Callable[..., Path]) -> None:
    folder = write_trace_run(tmp_path / "run", "plain", 8)
    content = json.loads((folder / "layers.json").read_text())
    del content[key]
    (folder / "layers.json").write_text(json.dumps(content))
    assert read_tracing(folder) is None
    with pytest.raises(InputError, match=rf"layers\.json: not a layers\.json of a trace: .*'{key}'") as caught:
        write_trace_report(folder)
    assert "\n" not in str(caught.value)
    if key == "stability":
        run = write_run(tmp_path / "whole", documents=2)
        (run / "layers.json").write_text(json.dumps(content))
        assert "Causal tracing" not in write_run_report(run).read_text()


def test_no_trace_is_one_line(tmp_path: Path) -> None:
    folder = write_trace_run(tmp_path / "run", "plain", 8)
    (folder / "layers.json").unlink()
    with pytest.raises(InputError, match=r"layers\.json: cannot be read: No such file"):
        write_trace_report(folder)


def test_a_trace_run_is_not_compared(folder: Path) -> None:
    with pytest.raises(InputError, match="no readable run of unlearn"):
        find_runs(folder)


def test_fabricated_trace_has_everything() -> None:
    content = json.loads(layers_text())
    assert content["window"] == CONFIG.window
    assert len(content["effects"][-1]["restorations"]) == 7
    assert content["effects"][-1]["restorations"][0]["placebo"] is not None
