"""One job of one command in its run folder, and what a failure or an interruption leaves there."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from unlearning.artefacts import write_text
from unlearning.config.errors import one_line
from unlearning.context import on_main_process
from unlearning.errors import InputError
from unlearning.runs.status import STATUS, read_status, try_to_write_status, write_status

log = logging.getLogger(__name__)
CONFIG = "config.yaml"
USER_ERRORS = (InputError, HydraException, OmegaConfBaseException, YAMLError)
"""Errors that a user can mend. They are shown as one line, without a traceback."""
NOT_COMPARED = ("cache_dir", "logger", "optimized")
"""Keys that may differ when a run is started again, because they do not change what it computes."""


def run_job(job: Callable[[], None], cfg: DictConfig, run_dir: Path, resume: str, multirun: bool) -> None:
    """Run a job in its folder and keep status.json true.

    A run that is finished is not computed again. A job of a multirun that fails is recorded and does not stop the other
    jobs; `CompareRuns` ends such a multirun with exit code 1. A single run that is refused for its input leaves no
    folder. Raises InputError where the folder holds another run. Processes for further devices write nothing.
    """
    if not on_main_process():
        job()
        return
    try:
        if _already_finished(cfg, run_dir):
            print(f"already finished: {run_dir}")
            return
        write_text(run_dir / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
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
        try_to_write_status(run_dir, "failed", message, resume)
        print(f"error: {run_dir.name}: {message}", file=sys.stderr)
        return
    write_status(run_dir, "finished", None, resume)


def _record_failure(run_dir: Path, message: str, resume: str) -> None:
    """Write the failure into status.json, unless the folder belongs to another run or nothing was computed in it."""
    if read_status(run_dir)["state"] in ("finished", "interrupted"):
        return
    try_to_write_status(run_dir, "failed", message, resume)
    _remove_if_bare(run_dir)


def _remove_if_bare(run_dir: Path) -> None:
    """Remove a folder in which nothing was computed, and its parents as long as they are empty then."""
    if not run_dir.is_dir() or not {item.name for item in run_dir.iterdir()} <= {CONFIG, STATUS}:
        return
    for name in (CONFIG, STATUS):
        (run_dir / name).unlink(missing_ok=True)
    for folder in (run_dir, *run_dir.parents):
        if folder.resolve() == Path.cwd() or any(folder.iterdir()):
            return
        folder.rmdir()


def _already_finished(cfg: DictConfig, run_dir: Path) -> bool:
    """Return whether the folder holds this run, finished. Raises InputError where it holds a run of other settings."""
    before = run_dir / CONFIG
    if not before.exists():
        return False
    old, new = OmegaConf.load(before), OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True))
    assert isinstance(old, DictConfig)
    assert isinstance(new, DictConfig)
    for key in sorted(set(map(str, old)) | set(map(str, new))):
        if key not in NOT_COMPARED and old.get(key) != new.get(key):
            raise InputError(f"{run_dir}: holds a run with another {key}; choose a new folder or the same settings")
    return read_status(run_dir)["state"] == "finished"
