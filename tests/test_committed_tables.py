"""Tests of experiments/*/tables.py: each table, also that of the project's README, follows from the results."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from experiments.planted_truth import run as planted_truth_run
from experiments.planted_truth import tables as planted_truth
from experiments.quickstart import tables as quickstart
from experiments.real_models import study as real_models
from experiments.study import MARKERS, Line, read_csv
from unlearning.errors import InputError

Text = Callable[[Sequence[Line]], str]
REAL_MODELS = real_models.STUDY.folder / "results.csv"
WRITTEN = {
    "quickstart": (quickstart.study_readme, quickstart.README, quickstart.RESULTS),
    "project": (quickstart.project_readme, quickstart.PROJECT_README, quickstart.RESULTS),
    "project, real model": (real_models.project_readme, quickstart.PROJECT_README, REAL_MODELS),
    "planted_truth": (planted_truth.readme, planted_truth.README, planted_truth.RESULTS),
    "planted_truth, forgotten": (planted_truth.where_readme, planted_truth.README, planted_truth.WHERE),
}
SHOWN = {
    "quickstart": quickstart.HEADINGS,
    "project": ("model", *quickstart.HEADLINE),
    "project, real model": tuple(real_models.HEADLINE),
    "planted_truth": ("estimator", "hits", "chosen", "placebo_hits"),
    "planted_truth, forgotten": ("weight_auc", "taken_back", "planted_put_back"),
}
"""README -> columns of results.csv from which its table is made."""
CHANGED = [(name, column) for name, columns in SHOWN.items() for column in columns]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the table between the markers, without its headings."""
    table = text.split(MARKERS[0])[1].split(MARKERS[1])[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()][2:]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_readme_s_table_is_that_of_the_results(name: str) -> None:
    """The README is equal to the last character."""
    text, readme, results = WRITTEN[name]
    assert text(read_csv(results)) == readme.read_text()


@pytest.mark.parametrize(("name", "column"), CHANGED)
def test_another_cell_of_the_results_is_another_table(name: str, column: str) -> None:
    """If one cell is changed, the README differs; so the comparison above can fail."""
    text, readme, results = WRITTEN[name]
    lines = read_csv(results)
    line = next(line for line in lines if line[column])
    line[column] = changed(line[column])
    assert text(lines) != readme.read_text()


def changed(cell: str) -> str:
    """Return another number, or another name."""
    return f"{float(cell) + 1:g}" if cell.replace(".", "", 1).isdigit() else cell + "?"


def scored(model: str, seed: str, final: str) -> dict[str, str]:
    """Return a line of the quickstart's results.csv in which all scores but the first are 0.500."""
    return {**dict.fromkeys(quickstart.HEADINGS, "0.500"), "model": model, "seed": seed, "final": final}


def test_the_project_s_table_is_worked_out_by_hand() -> None:
    """The means are (0.200 + 0.100 + 0.600) / 3 = 0.300 and (0.655 + 0.735) / 2 = 0.695; the higher comes first."""
    lines = [scored("weak", seed, final) for seed, final in (("0", "0.200"), ("1", "0.100"), ("2", "0.600"))]
    lines += [scored("strong", seed, final) for seed, final in (("0", "0.655"), ("1", "0.735"))]
    lines.append(scored("untouched target", "", "0.279"))
    first = [cells[:3] for cells in rows(quickstart.project_readme(lines))]
    assert first == [
        ["untouched target", "0.279", "0.500"],
        ["`strong`", "0.695 (0.655-0.735)", "0.500 (0.500-0.500)"],
        ["`weak`", "0.300 (0.100-0.600)", "0.500 (0.500-0.500)"],
    ]


def run_folder(place: Path, method: str, seed: int, final: float, state: str = "finished") -> None:
    """Write the files of a run that are read; every score but the final one is 0.25."""
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(f"method: {method}\nseed: {seed}\n")
    (place / "status.json").write_text(json.dumps({"state": state}))
    scores = dict.fromkeys(quickstart.COLUMNS, 0.25)
    metrics = {
        "unlearned": {**scores, "final": final},
        "target": scores,
        "retrained": None,
        "training": {"seconds": 41.6},
    }
    (place / "metrics.json").write_text(json.dumps(metrics))


def test_results_are_collected_by_method_and_seed(tmp_path: Path) -> None:
    """Only finished runs have lines, after the target's; a retrained model that was not scored has none."""
    run_folder(tmp_path / "0", "npo", 10, 0.12345)
    run_folder(tmp_path / "1", "npo", 2, 0.5)
    run_folder(tmp_path / "2", "dpo", 2, 1.0)
    run_folder(tmp_path / "3", "dpo", 0, 0.0, state="failed")
    rest = ["0.250"] * 7
    assert quickstart.collected_rows(tmp_path) == [
        ["untouched target", "", "0.250", *rest, ""],
        ["dpo", "2", "1.000", *rest, "42"],
        ["npo", "2", "0.500", *rest, "42"],
        ["npo", "10", "0.123", *rest, "42"],
    ]


def test_runs_that_are_not_finished_make_no_results(tmp_path: Path) -> None:
    """A folder without finished runs is refused, rather than giving an empty table."""
    run_folder(tmp_path / "0", "npo", 0, 0.5, state="interrupted")
    with pytest.raises(InputError, match="no run in it is finished"):
        quickstart.collected_rows(tmp_path)


def traced(estimator: str, planted: str, chosen: str, hits: str, placebo_hits: str) -> dict[str, str]:
    """Return the cells of a line of planted_truth's results.csv that the table reads."""
    cells = {"planted": planted, "chosen": chosen, "hits": hits, "placebo_hits": placebo_hits}
    return {"estimator": estimator, "seed": "0", **cells}


def test_the_table_of_estimators_is_worked_out_by_hand() -> None:
    """Two models have two planted layers each: hits are 1 + 0 and 2 + 1, both layers are found 0 times and once."""
    lines = [
        traced("fisher", "0 1", "", "1", ""),
        traced("noise", "0 1", "0 1", "2", "1"),
        traced("fisher", "2 3", "", "0", ""),
        traced("noise", "2 3", "2", "1", "2"),
    ]
    text = planted_truth.readme(lines)
    assert "| hits of 4 | both layers, of 2 | confidence rule exactly right, of 2 | placebo's hits of 4 |" in text
    assert rows(text) == [["noise (`trace=default`)", "3", "1", "1", "3"], ["fisher", "1", "0", "-", "-"]]


def selection(mode: str, rule: str) -> dict[str, object]:
    """Return what is read of a layers.json: of four layers 0 and 2 have the largest effects, 1 and 2 were chosen."""
    effect, placebo = {"mean": [0.5, 0.1, 0.4, 0.2]}, {"mean": [0.0, 0.1, 0.2, 0.0]}
    of_mlp = {
        "restoration": {"kind": "mlp", "window": 1, "severed": None},
        "effect": effect,
        "placebo": None if mode == "weights" else placebo,
    }
    metric = {"metric": "answer_log_probability", "restorations": [of_mlp]}
    baselines = {rule: [0, 1] for rule in planted_truth_run.BASELINES}
    chosen = {"mode": mode, "rule": rule, "layers": [1, 2], "baselines": baselines}
    return {"effects": [metric], "metric": "answer_log_probability", "module": "mlp", **chosen}


def test_a_trace_becomes_lines_of_the_results() -> None:
    """Layers 2 and 3 are planted. Only the exchange of weights also gives lines of the baselines."""
    lines = planted_truth_run.results((2, 3), 0, "noise", selection("exact", "confidence"))
    assert lines == [("2 3", 0, "noise", "1 2", "0 2", 1, "0.500 0.100 0.400 0.200", "1 2", 1)]
    first, *others = planted_truth_run.results((0, 1), 1, "weights, noising", selection("weights", "top_share"))
    assert first == ("0 1", 1, "weights, noising", "", "0 2", 1, "0.500 0.100 0.400 0.200", "", "")
    assert others == [("0 1", 1, rule, "", "0 1", 2, "", "", "") for rule in planted_truth_run.BASELINES]


def test_the_hits_of_the_results_are_the_planted_layers_among_the_largest_two() -> None:
    """This holds in every line, and for the placebo where there is one."""
    lines = read_csv(planted_truth.RESULTS)
    for line in lines:
        planted = set(line["planted"].split())
        assert int(line["hits"]) == len(planted & set(line["largest_two"].split()))
        if line["placebo_hits"]:
            assert int(line["placebo_hits"]) == len(planted & set(line["placebo_largest_two"].split()))
    assert {line["estimator"] for line in lines} >= set(planted_truth.LABELS)
