"""Tests of experiments/searches.py: which trials of a search count, and which is the best."""

import json
from pathlib import Path
from typing import Any

import yaml

from experiments import searches

HEADINGS = {"task_aggregate": "task aggregate", "mia_auc": "AUC"}


def trial(folder: Path, name: str, state: str, aggregate: float | None = None, lr: float = 1e-4) -> None:
    """Write the folder of one trial; only a finished one has scores."""
    run = folder / "npo" / name
    run.mkdir(parents=True)
    config: dict[str, Any] = {
        "seed": 0,
        "optimizer": {"lr": lr},
        "schedule": {"epochs": 3},
        "objective": {"beta": 0.1, "reduction": "token"},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "status.json").write_text(json.dumps({"state": state}))
    if aggregate is not None:
        (run / "metrics.json").write_text(json.dumps({"unlearned": {"mia_auc": 0.5, "task_aggregate": aggregate}}))
        (run / "provenance.json").write_text(json.dumps({"stage_seconds": {"load": 10.0, "unlearn": 50.0}}))


def test_trials_that_were_cut_off_do_not_count(tmp_path: Path) -> None:
    """A failed trial counts and has no scores; the tenth comes after the second."""
    trial(tmp_path, "10-npo", "finished", 0.25)
    trial(tmp_path, "2-npo", "failed")
    trial(tmp_path, "11-npo", "interrupted")
    lines = searches.trials(tmp_path, list(HEADINGS))
    assert [(line["trial"], line["task_aggregate"]) for line in lines] == [("2", ""), ("10", "0.25")]
    assert (lines[1]["lr"], lines[1]["beta"], lines[1]["rank"], lines[1]["seconds"]) == ("0.0001", "0.1", "", "60")
    assert lines[1]["reduction"] == "token"


def test_the_best_trial_has_the_highest_task_aggregate(tmp_path: Path) -> None:
    """One of three trials ended early; the budget is the time of both others. Only the rate differs between them."""
    trial(tmp_path, "0-npo", "finished", 0.25)
    trial(tmp_path, "1-npo", "finished", 0.75, lr=3e-3)
    trial(tmp_path, "2-npo", "failed")
    lines = searches.trials(tmp_path, list(HEADINGS))
    assert [searches.score(line, "task_aggregate") for line in lines] == [0.25, 0.75, 0.0]
    cells = [cell.strip() for cell in searches.table(lines, HEADINGS).splitlines()[2].split("|")[1:-1]]
    assert cells == ["`npo`", "3", "1", "2", "0.750", "0.500", "lr 0.003"]
