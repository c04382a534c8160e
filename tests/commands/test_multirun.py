"""Several runs by one command."""

import re

import pytest

from tests.command_line import run_command
from tests.commands.sandbox_runs import SHORT, SandboxRuns, read

pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.mark.exhaustive
def test_a_multirun_ends_with_a_comparison(runs: SandboxRuns) -> None:
    """Each job has a folder of its own, and the sweep's folder has the comparison."""
    words = ["-m", "method=grad_diff,grad_ascent", *SHORT, "logger=none", "save_model=false", "hydra.sweep.dir=sweep"]
    ended = run_command("unlearn", words, runs.folder)
    assert ended.code == 0, ended.err
    for job in ("0-grad_diff", "1-grad_ascent"):
        assert read(runs.folder / "sweep" / job / "status.json")["state"] == "finished"
        assert not (runs.folder / "sweep" / job / "model").exists()
    assert "<html" in (runs.folder / "sweep" / "report.html").read_text()
    assert "grad_ascent" in (runs.folder / "sweep" / "comparison.csv").read_text()
    # The names of the tuned files follow from the method, and are no setting that was varied.
    assert "tuned" not in (runs.folder / "sweep" / "runs.csv").read_text()


def test_a_job_that_fails_does_not_stop_the_others(runs: SandboxRuns) -> None:
    """The failure is recorded, the other jobs are compared, and the exit code is 1."""
    words = ["-m", "method=grad_ascent", "scope=layers", "scope.layers=99,0", *SHORT, "logger=none"]
    ended = run_command("unlearn", [*words, "save_model=false", "hydra.sweep.dir=half"], runs.folder)
    assert ended.code == 1
    failed, finished = (read(runs.folder / "half" / f"{job}-grad_ascent" / "status.json") for job in (0, 1))
    assert failed["state"] == "failed"
    assert failed["error"] == "scope.layers=99: this model's layers are 0 to 7"
    assert f"error: 0-grad_ascent: {failed['error']}" in ended.err
    assert finished["state"] == "finished"
    assert (runs.folder / "half" / "1-grad_ascent" / "metrics.json").exists()
    assert (runs.folder / "half" / "report.html").exists()
    # Each job says which one it is.
    assert re.search(r"^1-grad_ascent  seed 0 .*\n(.*\n)*?.*scope\.layers=0\b", ended.out, re.MULTILINE)
