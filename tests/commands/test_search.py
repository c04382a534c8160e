"""A search by Optuna: its trials, how it goes on, and what W&B's offline files say of it."""

import json
import math
from pathlib import Path

import pytest
import yaml

from tests.command_line import Ended, run_command
from tests.commands.sandbox_runs import SHORT, SandboxRuns, read
from tests.wandb_records import offline_records
from unlearning.config.errors import one_line

pytestmark = pytest.mark.usefixtures("without_figures")
LR = (3e-5, 3e-3)
"""The range in conf/search/layer_freeze_mlp_0_5.yaml."""


def search(runs: SandboxRuns, trials: int) -> Ended:
    """Search with so many trials of two steps."""
    words = ["-m", "search=layer_freeze_mlp_0_5", *SHORT, "stopping.check_every_steps=2", "stopping.unmoved_check=null"]
    return run_command("unlearn", [*words, f"hydra.sweeper.n_trials={trials}", "hydra.sweep.dir=search"], runs.folder)


def test_a_search_goes_on_where_it_was_and_each_trial_is_a_run_in_wandb(runs: SandboxRuns) -> None:
    """A second command asks for the first one's trial again, does not run it again, and adds one.

    Each trial has its own numbers from the stated ranges. W&B's file of each has these and the scores, in one group.
    """
    assert search(runs, 1).code == 0
    folder = runs.folder / "search"
    (first,) = folder.glob("0-*")
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*") if path.suffix in (".json", ".csv", ".html")}
    ended = search(runs, 2)
    assert ended.code == 0, ended.err
    assert f"already finished: {first}\n" in ended.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rates, groups = [], []
    for trial in sorted(folder.glob("[01]-*")):
        (path,) = (trial / "wandb").glob("offline-run-*/run-*.wandb")
        rate, group, summary = what_wandb_holds(path)
        assert summary["final"] == read(trial / "metrics.json")["unlearned"]["final"]
        assert rate == yaml.safe_load((trial / "config.yaml").read_text())["optimizer"]["lr"]
        rates.append(rate)
        groups.append(group)
    assert len(set(rates)) == 2
    assert all(LR[0] <= rate <= LR[1] for rate in rates)
    assert len(set(groups)) == 1
    front = yaml.safe_load((folder / "optimization_results.yaml").read_text())["solutions"]
    assert {item["params"]["optimizer.lr"] for item in front} <= set(rates)


def what_wandb_holds(path: Path) -> tuple[float, str, dict[str, float]]:
    """Return a trial's learning rate, its group, and its last numbers."""
    rate, group, summary = math.nan, "", {}
    for record in offline_records(path):
        group = record.run.run_group or group
        for item in record.run.config.update:
            if item.key == "optimizer":
                rate = json.loads(item.value_json)["lr"]
        summary |= {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
    return rate, group, summary


def test_a_trial_that_ended_early_belongs_to_a_finished_search(runs: SandboxRuns) -> None:
    """Its rate is too small to move the model. The search ends well, and the trial is not run a second time.

    In a multirun that does not search, the same end is an error.
    """
    words = ["-m", *SHORT, "logger=none", "stopping.check_every_steps=1", "stopping.unmoved_check=1"]
    searched = [*words, "search=layer_freeze_mlp_0_5", "optimizer.lr=interval(1e-12, 2e-12)", "hydra.sweep.dir=unmoved"]
    for _ in range(2):
        ended = run_command("unlearn", [*searched, "hydra.sweeper.n_trials=1"], runs.folder)
        assert ended.code == 0, ended.err
    (trial,) = (runs.folder / "unmoved").glob("0-*")
    assert read(trial / "status.json")["state"] == "ended early"
    assert f"already ended early: {trial}\n" in ended.out
    plain = [*words, "method=layer_freeze_mlp_0_5", "optimizer.lr=1e-12", "stopping.keep_best=false"]
    ended = run_command("unlearn", [*plain, "hydra.sweep.dir=plain"], runs.folder)
    assert (ended.code, "error: plain: not finished: 0-" in ended.err) == (1, True), ended.err


def test_a_search_without_its_library_says_what_to_install() -> None:
    """Hydra's own message names no package."""
    error = ValueError("In 'hydra/config': Could not find 'hydra/sweeper/optuna'\nAvailable options: basic")
    assert one_line(error).endswith("install this project's extra 'sweeps'")
