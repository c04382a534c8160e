"""status.json of a run folder: whether the run goes on, is finished, failed or was interrupted."""

import json
from contextlib import suppress
from pathlib import Path

from unlearning.artefacts import write_json

STATUS = "status.json"
ENDED_EARLY = "ended early"
"""State of a job of a multirun that training gave up: the same settings would end so again."""


def read_status(run_dir: Path) -> dict[str, str | None]:
    """Return the content of status.json: "state", "error" and "resume", the command that goes on with the run.

    The state is "running", "finished", "failed", ENDED_EARLY or "interrupted"; "unknown" where the file is
    missing or unreadable.
    """
    try:
        status: dict[str, str | None] = json.loads((run_dir / STATUS).read_text())
    except (OSError, ValueError):
        return {"state": "unknown", "error": None, "resume": None}
    return status


def write_status(run_dir: Path, state: str, error: str | None, resume: str) -> None:
    """Write status.json. Raises OSError where the disk does not allow it."""
    write_json(run_dir / STATUS, {"state": state, "error": error, "resume": resume})


def try_to_write_status(run_dir: Path, state: str, error: str | None, resume: str) -> None:
    """Write status.json if the disk allows it. For a run that ends: a full disk must not hide why it ended."""
    with suppress(OSError):
        write_status(run_dir, state, error, resume)


def mark_finished(run_dir: Path) -> None:
    """Set the state to "finished": all results are there, and the report can be made from them."""
    write_status(run_dir, "finished", None, read_status(run_dir)["resume"] or "")
