"""Tests of experiments/methods: its script makes what results.csv has, its commands compose, the right runs count."""

import csv
import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from experiments.methods import run
from experiments.methods.study import BEST, SIX, STUDY, correlation, counted, published, runs_by_rate
from tests.test_readme import composes

BASE = dict.fromkeys(("mia_score", "utility", *run.PARTS), "0.5")


def line(method: str, rate: str, seed: int, final: float) -> dict[str, str]:
    """Return a line of results.csv in which only the final score matters."""
    return {**BASE, "method": method, "lr": rate, "seed": str(seed), "final": str(final), "task_aggregate": "0.5"}


def write(folder: Path, final: float) -> None:
    """Write a finished run with this final score; every other score is 0.25, and it took 9.6 seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {**dict.fromkeys((*run.KEYS, *run.PARTS), 0.25), "final": final}
    (folder / "metrics.json").write_text(json.dumps({"unlearned": scores, "training": {"seconds": 9.6}}))


class Commands:
    """Stands in for subprocess.run: notes each command, and writes the scores of its learning rate or fails."""

    def __init__(self, finals: dict[str, float]) -> None:
        """Take the final score of each learning rate; a command with any other rate fails."""
        self.finals = finals
        self.done: list[str] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        """Act as one command."""
        out = Path(next(word for word in command if word.startswith("hydra.run.dir=")).partition("=")[2])
        self.done.append(f"{Path(command[0]).name} {out.parent.name} {out.name}")
        rate = out.name.removeprefix("lr-").partition("-seed-")[0]
        if rate not in self.finals:
            return subprocess.CompletedProcess(command, 1, "", "the loss is not finite")
        write(out, self.finals[rate])
        return subprocess.CompletedProcess(command, 0, "", "")


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, finals: dict[str, float], *methods: str) -> list[str]:
    """Return the commands that the script starts for these methods."""
    commands = Commands(finals)
    monkeypatch.setattr(run.subprocess, "run", commands)
    monkeypatch.setattr("sys.argv", ["run.py", str(folder), "--methods", *methods])
    run.main()
    return commands.done


def test_every_rate_and_seed_that_the_script_runs_is_there() -> None:
    """Each rate has seed 0, the rate that counts has all seeds, and there is no other run and none twice."""
    lines = STUDY.lines()
    found = {(own["method"], own["lr"], int(own["seed"])) for own in lines}
    grids = {name: rates for name, (_, rates) in run.METHODS.items()} | {run.MERGED: (run.MERGED_RATE,)}
    assert len(found) == len(lines)
    assert {(name, rate, 0) for name, rates in grids.items() for rate in rates} <= found
    assert {(name, rate) for name, rate, _ in found} == {(name, rate) for name in grids for rate in grids[name]}
    for name, runs in counted(lines).items():
        assert {(name, runs[0]["lr"], seed) for seed in run.SEEDS} <= found
        assert len(runs) == len(run.SEEDS)


def test_a_final_score_is_the_mean_of_its_parts() -> None:
    """The final score is the mean of its three parts; all are rounded to four digits."""
    for own in STUDY.lines():
        parts = [float(own[key]) for key in ("task_aggregate", "mia_score", "utility")]
        assert float(own["final"]) == pytest.approx(fmean(parts), abs=1e-4)


@pytest.mark.by_default("chunked_lora", "task_arithmetic", "zjuklab_over")
@pytest.mark.parametrize("method", run.METHODS)
def test_the_command_of_a_method_composes(method: str) -> None:
    """It composes with the first learning rate of its grid; the others are like it."""
    composes(shlex.join(["unlearn", *run.method_overrides(method, run.METHODS[method][1][0], 2)]))


def test_the_merging_composes_and_takes_the_adapters_that_the_script_made() -> None:
    """The adapters are those of the same seed; only their runs save a model."""
    folder = Path("out")
    words = run.merge_overrides(1, folder)
    composes(shlex.join(["unlearn-merge", *words, "hydra.run.dir=out/zjuklab"]))
    adapters = [str(run.run_folder(name, run.METHODS[name][1][0], 1, folder)) for name in run.ADAPTERS]
    assert words[0] == f"adapters=[{adapters[0]},{adapters[1]}]"
    assert all(len(run.METHODS[name][1]) == 1 for name in run.ADAPTERS)
    kept = [name for name in run.METHODS if "save_model=false" not in run.method_overrides(name, "1e-3", 1)]
    assert kept == ["zjuklab_over", "zjuklab_under"]


def test_the_best_rate_of_seed_0_is_run_with_the_other_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of final scores 0.2, 0.6 and 0.4 the second rate is chosen; a second start runs nothing."""
    finals = {"1e-4": 0.2, "3e-4": 0.6, "1e-3": 0.4}
    done = started(monkeypatch, tmp_path, finals, "npo")
    seed_0 = [f"unlearn npo lr-{rate}-seed-0" for rate in finals]
    assert done == [*seed_0, "unlearn npo lr-3e-4-seed-1", "unlearn npo lr-3e-4-seed-2"]
    assert started(monkeypatch, tmp_path, finals, "npo") == []


def test_a_run_that_failed_is_recorded_and_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The other rate is run, the study leaves the failed line out, and the run is not tried again."""
    done = started(monkeypatch, tmp_path, {"3e-4": 0.1}, "dpo")
    assert done[2:] == ["unlearn dpo lr-3e-4-seed-1", "unlearn dpo lr-3e-4-seed-2"]
    with (tmp_path / "runs.csv").open(newline="") as handle:
        states = {(own["lr"], own["seed"]): own["state"] for own in csv.DictReader(handle)}
    finished = {("3e-4", str(seed)): "finished" for seed in run.SEEDS}
    assert states == {("1e-3", "0"): "failed", **finished}
    assert [own["lr"] for own in STUDY.collected_lines(tmp_path)] == ["3e-4"] * 3
    assert started(monkeypatch, tmp_path, {"3e-4": 0.1}, "dpo") == []


def test_the_adapters_are_merged_after_both_were_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are merged seed by seed; if one of the two methods is not asked for, nothing is merged."""
    finals = {"1e-3": 0.5, "merged": 0.7}
    assert len(started(monkeypatch, tmp_path, finals, "zjuklab_over")) == 3
    done = started(monkeypatch, tmp_path, finals, *run.ADAPTERS)
    trained = [f"unlearn zjuklab_under lr-1e-3-seed-{seed}" for seed in run.SEEDS]
    assert done == [*trained, *(f"unlearn-merge zjuklab lr-merged-seed-{seed}" for seed in run.SEEDS)]
    merged = run.result(tmp_path / "zjuklab" / "lr-merged-seed-2")
    assert merged == ["zjuklab", "merged", "2", "finished", "0.7000", *["0.2500"] * 7, "10"]


def test_the_script_s_runs_become_the_committed_results(tmp_path: Path) -> None:
    """Run folders with the scores of results.csv are collected into a results.csv of the same bytes."""
    for own in STUDY.lines():
        place = run.run_folder(own["method"], own["lr"], int(own["seed"]), tmp_path)
        scores = {key: float(own[key]) for key in (*run.KEYS, *run.PARTS)}
        place.mkdir(parents=True)
        record = {"unlearned": scores, "training": {"seconds": float(own["seconds"])}}
        (place / "metrics.json").write_text(json.dumps(record))
    run.write_runs(tmp_path)
    replace(STUDY, folder=tmp_path).collect([tmp_path])
    assert (tmp_path / "results.csv").read_text() == (STUDY.folder / "results.csv").read_text()


def test_the_rate_is_chosen_on_seed_0_alone() -> None:
    """The rate with 0.6 on seed 0 counts, though the other has a higher mean; methods are ordered by their means."""
    lines = [line("npo", "a", 0, 0.5), line("npo", "a", 1, 0.9), line("npo", "b", 0, 0.6), line("npo", "b", 1, 0.2)]
    lines.append(line("idk", "a", 0, 0.45))
    rates = runs_by_rate(lines)
    assert list(rates) == ["idk", "npo"]
    assert [[own["final"] for own in runs] for runs in rates["npo"]] == [["0.6", "0.2"], ["0.5", "0.9"]]


def test_a_rank_correlation_is_that_of_the_order() -> None:
    """The published order gives 1, its reverse -1, and gradient ascent behind the other five 0.83.

    The order published for 7B is: SHA256, AILS-NTUA, KL minimisation, ascent, difference, NPO. With ascent at the end
    the correlation is 1 - 6 * (2^2 + 1 + 1) / (6 * 35) = 0.83.
    """
    orders = {1.0: SIX, -1.0: SIX[::-1], 1 - 36 / 210: (*SIX[:3], *SIX[4:], SIX[3])}
    for expected, order in orders.items():
        lines = [line(name, "tuned", 0, 0.9 - 0.1 * place) for place, name in enumerate(order)]
        assert correlation(lines, SIX) == pytest.approx(expected)


def test_the_answer_names_the_best_of_the_table() -> None:
    """It names them in the table's order, with the mean final scores of the table's rows."""
    lines = STUDY.lines()
    rows = [row.split(" | ") for row in STUDY.table(lines).splitlines() if row.startswith("| `")]
    means = [float(row[2].partition(" ")[0]) for row in rows]
    assert means == sorted(means, reverse=True)
    assert len(rows) == len(run.METHODS) + 1
    best = [f"{row[0].removeprefix('| ')} {mean:.2f}" for row, mean in zip(rows[:BEST], means[:BEST], strict=True)]
    assert ", ".join(best) in STUDY.answer(lines)
    shown = {row[0].strip("| `"): row[8] for row in rows if row[8]}
    assert shown == {name: own["7B final"] for name, own in published().items()}
