"""Tests of experiments/semeval_standin: rows keep their published numbers, and data and table are what they say."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.semeval_leaderboard.row import NAMES, published
from experiments.semeval_standin import run
from experiments.semeval_standin.study import STUDY, runs_by_rate
from tests.test_readme import composes
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.data.rows import Kind, Row, Split

CONFIGURATIONS = [row for row in run.ROWS if row != "zjuklab"] + ["zjuklab_over", "zjuklab_under"]
METHOD_KEYS = ("objective", "scope", "schedule", "ratio", "optimizer", "prompt", "stopping", "update_scale")

TERMS = [
    f"{split}_Task{task}_{measure}"
    for split in ("forget", "retain")
    for task in (1, 2, 3)
    for measure in ("regurgitation", "knowledge")
]


@pytest.fixture(autouse=True)
def official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the official data are named, never opened."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")


def composed(words: list[str]) -> dict[str, Any]:
    """Return the whole configuration of `unlearn` as dotted key -> value."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("unlearn", words)
    whole = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(whole, dict)
    return {key: value for group in METHOD_KEYS for key, value in flat(group, whole[group]).items()}


def flat(key: str, value: Any) -> dict[str, Any]:
    """Return the leaves of nested mappings as dotted key -> value."""
    if not isinstance(value, dict):
        return {key: value}
    return {name: leaf for inner in value for name, leaf in flat(f"{key}.{inner}", value[inner]).items()}


def row(name: str, task: str, kind: Kind, number: int = 0) -> Row:
    """Return a row of a document."""
    return Row(f"{name}{kind.value}{number}", "Begin", "end.", task, kind, Split.FORGET)


def test_every_row_of_the_leaderboard_is_there() -> None:
    """The script knows the rows of the leaderboard by the same names."""
    assert list(run.ROWS) == list(NAMES)


@pytest.mark.by_default("sha256", "zjuklab_under")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_row_with_the_stand_in_composes(name: str) -> None:
    """It composes with all overrides that the script gives it."""
    words = [*run.method_overrides(name, "1e-3"), *run.data_overrides(Path("out")), *run.model_overrides(Path("out"))]
    composes(shlex.join(["unlearn", *words]))


@pytest.mark.by_default("kl_min", "ails_ntua", "snuffleupagus")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_stand_in_leaves_the_published_numbers(name: str) -> None:
    """The method differs from the leaderboard's own configuration only in what the script lists."""
    official = composed([f"experiment=leaderboard/{name}"])
    here = composed(run.method_overrides(name, "0.0123"))
    given = [word.partition("=")[0] for word in run.method_overrides(name, "0.0123")]
    differing = {key for key in here if here[key] != official.get(key)}
    assert here.keys() == official.keys()
    assert differing == {key for key in given if key in here}
    assert here["optimizer.lr"] == 0.0123
    assert {key for key in differing if not key.endswith((".lr", ".layers", ".layer"))} == set()


def test_the_first_documents_of_each_task_are_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of documents 7, 8 and 9 of Task3 the first two are taken, with all their rows, and of Task1 the first one."""
    monkeypatch.setattr(run, "DOCUMENTS", {"Task1": 1, "Task3": 2})
    rows = [
        row("7", "Task3", Kind.COMPLETION, 1),
        row('"a"', "Task1", Kind.COMPLETION, 1),
        row('"b"', "Task1", Kind.COMPLETION, 1),
        row("8", "Task3", Kind.QUESTION),
        row("9", "Task3", Kind.COMPLETION, 1),
        row("7", "Task3", Kind.QUESTION),
    ]
    assert [kept.id for kept in run.first_rows(rows)] == ["7sc1", '"a"sc1', "8qa0", "7qa0"]


def test_the_merged_row_costs_what_its_adapters_did(tmp_path: Path) -> None:
    """The adapters took 30 and 20 steps, 4 and 3 seconds; those of another learning rate or seed do not count."""
    scores = dict.fromkeys([*run.SCORES, *TERMS], 0.5)
    costs = {"over-1e-3/2": (30, 4.0), "under-1e-3/2": (20, 3.0), "over-3e-3/2": (99, 9.0), "over-1e-3/1": (88, 8.0)}
    for name, (steps, seconds) in costs.items():
        write(tmp_path / "adapters" / f"zjuklab_{name}", scores, steps, seconds)
    write(tmp_path / "runs" / "zjuklab-1e-3" / "2", scores, 0, 0.0)
    line = run.result(tmp_path / "runs" / "zjuklab-1e-3" / "2" / "metrics.json")
    assert line == ["zjuklab", "1e-3", "2", "finished", *[0.5] * len(run.SCORES), 0.5, 50, 7.0]


def test_the_target_has_no_rate_and_no_seed(tmp_path: Path) -> None:
    """The folder of the target is its name, without a learning rate and a seed."""
    write(tmp_path / "target", dict.fromkeys([*run.SCORES, *TERMS], 0.5), 9, 1.0)
    assert run.result(tmp_path / "target" / "metrics.json")[:4] == ["target", "", "", "finished"]


def write(folder: Path, scores: dict[str, float], steps: int, seconds: float) -> None:
    """Write the metrics.json of a run."""
    folder.mkdir(parents=True)
    record = {"unlearned": scores, "training": {"steps": steps, "seconds": seconds}}
    (folder / "metrics.json").write_text(json.dumps(record))


def test_the_mean_of_the_terms_counts_what_is_forgotten_and_what_is_kept() -> None:
    """Of six forget terms one is half known, of six retain terms three are known: (5.5 + 3) / 12."""
    scores = dict.fromkeys(TERMS, 0.0)
    scores |= {"forget_Task2_knowledge": 0.5}
    scores |= {"retain_Task1_knowledge": 1.0, "retain_Task2_knowledge": 1.0, "retain_Task3_regurgitation": 1.0}
    assert run.mean_of_terms(scores) == pytest.approx(8.5 / 12)


def test_all_rates_and_seeds_were_run() -> None:
    """results.csv has each row once with each rate and seed, and the target and the retrained model."""
    lines = STUDY.lines()
    found = [(line["row"], float(line["lr"]), int(line["seed"])) for line in lines if line["row"] in run.ROWS]
    asked = [(name, float(rate), seed) for name, (_, rates) in run.ROWS.items() for rate in rates for seed in run.SEEDS]
    assert sorted(found) == sorted(asked)
    assert {"target", "retrained"} <= {line["row"] for line in lines}


def test_a_final_score_is_the_mean_of_its_parts() -> None:
    """The final score is the mean of three parts, and the MIA score 1 - 2 |AUC - 0.5|; all have four digits."""
    for line in STUDY.lines():
        parts = [float(line[key]) for key in ("task_aggregate", "mia_score", "utility")]
        assert float(line["final"]) == pytest.approx(sum(parts) / 3, abs=1e-4)
        assert float(line["mia_score"]) == pytest.approx(1 - 2 * abs(float(line["mia_auc"]) - 0.5), abs=2e-4)


def test_the_table_has_the_best_rate_beside_what_was_published() -> None:
    """Rows are ordered by the mean final score over seeds, and no other rate of a row has a higher one."""
    lines = STUDY.lines()
    rows = runs_by_rate(lines)
    text = STUDY.table(lines)
    means = []
    for name, (best, *_) in rows.items():
        finals: dict[str, list[float]] = {}
        for line in lines:
            if line["row"] == name:
                finals.setdefault(line["lr"], []).append(float(line["final"]))
        means.append(max(sum(values) / len(run.SEEDS) for values in finals.values()))
        cells = next(row for row in text.splitlines() if row.startswith(f"| {NAMES[name]} |")).split(" | ")
        assert float(cells[1]) == float(best[0]["lr"])
        assert cells[3].startswith(f"{means[-1]:.3f} ± ")
        assert cells[-1].rstrip(" |") == published(NAMES[name], "7B")["final"]
    assert means == sorted(means, reverse=True)
