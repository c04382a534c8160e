"""Tests of experiments/real_models/study.py: which models and boards a folder's lines are of."""

import json
from pathlib import Path

import yaml

from experiments.real_models import study

NAMES = (*study.SHOWN, "utility", *study.PARTS, *study.GENERAL, "mia_auc")


def write(run: Path, documents: int | None, metrics: dict[str, dict[str, float]], epochs: int = 10) -> None:
    """Write what is read of a run, of unlearning or of memorising."""
    run.mkdir(parents=True)
    config: dict[str, dict[str, object]] = {
        "model": {"name": "smollm2_135m"},
        "data": {"max_documents_per_task": documents},
        "recipe": {"epochs": epochs},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "metrics.json").write_text(json.dumps(metrics))


def test_target_and_retrained_model_have_folders_of_their_own(tmp_path: Path) -> None:
    """A run that has not scored them leaves them to their folders; where it has, its own scores count."""
    unlearned, target, retrained, other = (dict.fromkeys(NAMES, value) for value in (0.5, 0.25, 0.75, 1.0))
    write(tmp_path / "target", 12, {"memorised": target})
    write(tmp_path / "retrained", 12, {"memorised": other})
    write(tmp_path / "runs" / "npo-3", 12, {"unlearned": unlearned, "retrained": retrained, "training": {}})
    lines = {line["method"]: line for line in study.collected_lines(tmp_path)}
    assert {name: line["final"] for name, line in lines.items()} == {
        "target": "0.2500",
        "retrained": "0.7500",
        "npo": "0.5000",
    }
    assert study.of_board(list(lines.values())) == [], "no line is of the board with four documents"
    assert study.of_board(list(lines.values()), "12") == list(lines.values())


def test_a_run_without_a_limit_of_documents_is_of_the_whole_fold(tmp_path: Path) -> None:
    """Its board is called as on the command line of run.py."""
    write(tmp_path / "target", None, {"memorised": dict.fromkeys(NAMES, 0.5)})
    (line,) = study.collected_lines(tmp_path)
    assert study.of_board([line], study.WHOLE) == [line]


def test_epochs_of_memorising_make_another_board(tmp_path: Path) -> None:
    """Its lines stand apart from those of a target that memorised the same rows in ten epochs."""
    write(tmp_path / "target", None, {"memorised": dict.fromkeys(NAMES, 0.5)}, epochs=14)
    write(tmp_path / "runs" / "npo-3", None, {"unlearned": dict.fromkeys(NAMES, 0.5), "training": {}})
    assert [line["documents"] for line in study.collected_lines(tmp_path)] == ["all, 14 epochs"] * 2


def test_settings_on_the_way_have_a_table_of_their_own() -> None:
    """No line is lost, and each method stands in one table; of twelve documents no setting is on the way."""
    tables = study.table(study.STUDY.lines()).split("\n\n")
    few, others = tables[-2:]
    assert few.startswith("| 4 documents of each task |")
    assert others.startswith("| 4 documents of each task, other numbers |")
    shown = [row.split(" | ")[0] for row in few.splitlines() + others.splitlines() if row.startswith("| `")]
    methods = {line["method"] for line in study.of_board(study.STUDY.lines())} - set(study.REFERENCES)
    assert sorted(shown) == sorted(f"| `{method}`" for method in methods)
    assert {study.is_on_the_way(name) for name in (*study.FOUND, "npo", "grad_diff")} == {False}
