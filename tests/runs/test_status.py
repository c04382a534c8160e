"""status.json of a run folder, and the states of a multirun's jobs."""

from pathlib import Path

import pytest

from unlearning.runs.status import ENDED_EARLY, mark_finished, read_status, try_to_write_status, write_status
from unlearning.runs.sweep import job_folders, unfinished


def test_a_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    """State, error and command are kept, and a finished run has no error."""
    write_status(tmp_path, "failed", "out of memory", "unlearn seed=1")
    assert read_status(tmp_path) == {"state": "failed", "error": "out of memory", "resume": "unlearn seed=1"}
    mark_finished(tmp_path)
    assert read_status(tmp_path) == {"state": "finished", "error": None, "resume": "unlearn seed=1"}


@pytest.mark.parametrize("content", [None, "", "{"], ids=["missing", "empty", "broken"])
def test_a_status_that_cannot_be_read_is_unknown(content: str | None, tmp_path: Path) -> None:
    """A missing or broken file is no error."""
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    assert read_status(tmp_path)["state"] == "unknown"


def test_a_folder_that_cannot_be_written_does_not_hide_why_a_run_ended(tmp_path: Path) -> None:
    """The last status of a run is written only if the disk allows it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_status(tmp_path / "file", "failed", None, "")
    try_to_write_status(tmp_path / "file", "failed", None, "")


def test_the_jobs_of_a_multirun_that_are_not_finished_are_named(tmp_path: Path) -> None:
    """Jobs are the folders that have a status.json."""
    for job in ("0-a", "1-b"):
        write_status(tmp_path / job, "finished", None, "")
    (tmp_path / "plots").mkdir()
    jobs = job_folders(tmp_path)
    assert [job.name for job in jobs] == ["0-a", "1-b"]
    assert unfinished(jobs, search=False) == []
    write_status(tmp_path / "1-b", "running", None, "")
    assert unfinished(jobs, search=True) == [tmp_path / "1-b"]
    write_status(tmp_path / "1-b", ENDED_EARLY, None, "")
    assert unfinished(jobs, search=False) == [tmp_path / "1-b"]
    assert unfinished(jobs, search=True) == []
