"""One job of one command in its run folder, and what a failure or an interruption leaves there."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from unlearning.artefacts import remove_if_only, write_text
from unlearning.config.errors import one_line
from unlearning.errors import EndedEarlyError, InputError
from unlearning.locks.lock import LOCK
from unlearning.runs.run_log import logged_to
from unlearning.runs.same_run import CONFIG, other_setting, settings_text
from unlearning.runs.status import ENDED_EARLY, STATUS, read_status, try_to_write_status, write_status

log = logging.getLogger(__name__)
USER_ERRORS = (InputError, HydraException, OmegaConfBaseException, YAMLError)
"""Errors that a user can mend. They are shown as one line, without a traceback."""


def run_job(job: Callable[[], None], cfg: DictConfig, run_dir: Path, resume: str, multirun: bool) -> None:
    """Run a job in its folder, which this process owns, and keep status.json true.

    A run that is finished is not computed again. A job of a multirun that fails is recorded and does not stop the other
    jobs; `CompareRuns` ends such a multirun with exit code 1. One whose training gave up is not computed again. A
    single run that is refused for its input leaves no folder. Raises InputError where the folder holds another run, and
    leaves that run as it is.
    """
    state = read_status(run_dir)["state"]
    key = other_setting(run_dir, cfg, failed=state in ("failed", ENDED_EARLY))
    if key is not None:
        raise InputError(f"{run_dir}: holds a run with another {key}; choose a new folder or the same settings")
    if state == "finished" or (multirun and state == ENDED_EARLY):
        print(f"already {state}: {run_dir}")
        return
    with logged_to(run_dir):
        _run_and_record(job, cfg, run_dir, resume, multirun)


def _run_and_record(job: Callable[[], None], cfg: DictConfig, run_dir: Path, resume: str, multirun: bool) -> None:
    """Run a job and write its state before and after it."""
    try:
        write_text(run_dir / CONFIG, settings_text(cfg))
        write_status(run_dir, "running", None, resume)
        job()
    except KeyboardInterrupt:
        try_to_write_status(run_dir, "interrupted", None, resume)
        print(f"interrupted; to go on: {resume}", file=sys.stderr)
        raise
    except Exception as error:
        expected = isinstance(error, USER_ERRORS)
        message = one_line(error) if expected else f"{type(error).__name__}: {error}"
        if not expected:
            log.info("failed", exc_info=error)
        if not multirun:
            _record_failure(run_dir, message, resume)
            raise
        state = ENDED_EARLY if isinstance(error, EndedEarlyError) else "failed"
        try_to_write_status(run_dir, state, message, resume)
        print(f"error: {run_dir.name}: {message}", file=sys.stderr)
        return
    write_status(run_dir, "finished", None, resume)


def _record_failure(run_dir: Path, message: str, resume: str) -> None:
    """Write the failure into status.json, or remove the folder if nothing was computed in it."""
    if read_status(run_dir)["state"] == "finished":
        # Only the report failed; all results are there.
        return
    try_to_write_status(run_dir, "failed", message, resume)
    remove_if_only(run_dir, {CONFIG, STATUS, LOCK})
