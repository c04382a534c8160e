"""Several runs by one command."""

import pytest

from tests.command_line import run_command
from tests.commands.workshop import SHORT, Workshop, read

pytestmark = pytest.mark.usefixtures("hasty")


def test_a_multirun_ends_with_a_comparison(workshop: Workshop) -> None:
    """A folder a job."""
    words = ["-m", "method=grad_diff,grad_ascent", *SHORT, "logger=none", "save_model=false", "hydra.sweep.dir=sweep"]
    ended = run_command("unlearn", words, workshop.folder)
    assert ended.code == 0, ended.err
    for job in ("0-grad_diff", "1-grad_ascent"):
        assert read(workshop.folder / "sweep" / job / "status.json")["state"] == "finished"
        assert not (workshop.folder / "sweep" / job / "model").exists()
    assert "<html" in (workshop.folder / "sweep" / "report.html").read_text()
    assert "grad_ascent" in (workshop.folder / "sweep" / "comparison.csv").read_text()


def test_a_job_that_fails_does_not_stop_the_others(workshop: Workshop) -> None:
    """It is recorded, the others are compared, and the exit code tells."""
    words = ["-m", "method=grad_ascent", "scope=layers", "scope.layers=99,0", *SHORT, "logger=none"]
    ended = run_command("unlearn", [*words, "save_model=false", "hydra.sweep.dir=half"], workshop.folder)
    assert ended.code == 1
    failed, finished = (read(workshop.folder / "half" / f"{job}-grad_ascent" / "status.json") for job in (0, 1))
    assert failed["state"] == "failed"
    assert failed["error"] == "scope.layers=99: this model's layers are 0 to 7"
    assert f"error: 0-grad_ascent: {failed['error']}" in ended.err
    assert finished["state"] == "finished"
    assert (workshop.folder / "half" / "1-grad_ascent" / "metrics.json").exists()
    assert (workshop.folder / "half" / "report.html").exists()
