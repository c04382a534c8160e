"""One job of one command: its status file, and what a failure or an interruption leaves behind."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from unlearning.artefacts import write_json, write_text
from unlearning.config.errors import one_line
from unlearning.context import on_main_process
from unlearning.errors import InputError

log = logging.getLogger(__name__)
CONFIG, STATUS, METRICS = "config.yaml", "status.json", "metrics.json"
EXPECTED = (InputError, HydraException, OmegaConfBaseException, YAMLError)
"""What a user can mend: shown as one line, without a traceback."""
NOT_COMPARED = ("cache_dir", "logger", "optimized")
"""Keys that may differ when a run is taken up again: they do not change what it computes."""
SET_BY_LIGHTNING = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


def run_job(job: Callable[[], None], cfg: DictConfig, run_dir: Path, resume: str, multirun: bool) -> None:
    """Run a job in its folder and keep status.json true.

    A finished folder is not computed again. A job of a multirun that fails is recorded and does not stop the others;
    `CompareRuns` ends such a multirun with exit code 1. A single run that is refused for its input leaves no folder.
    Raises InputError where the folder holds another run. A process that only helps another one to train writes nothing.
    """
    if not on_main_process():
        job()
        return
    try:
        if _already_finished(cfg, run_dir):
            print(f"already finished: {run_dir}")
            return
        write_text(run_dir / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        _write_status(run_dir, "running", None, resume)
        job()
    except KeyboardInterrupt:
        _write_last_words(run_dir, "interrupted", None, resume)
        print(f"interrupted; to go on: {resume}", file=sys.stderr)
        raise
    except Exception as error:
        expected = isinstance(error, EXPECTED)
        message = one_line(error) if expected else f"{type(error).__name__}: {error}"
        if not expected:
            log.info("failed", exc_info=error)
        if not multirun:
            _record_failure(run_dir, message, resume)
            raise
        _write_last_words(run_dir, "failed", message, resume)
        print(f"error: {run_dir.name}: {message}", file=sys.stderr)
        return
    _write_status(run_dir, "finished", None, resume)


def searched_values(run_dir: Path, metrics: Sequence[str]) -> float | tuple[float, ...] | None:
    """The named metrics of the unlearned model, as a sweeper that searches takes them: one number, or several.

    None, which Optuna's counts as a failed trial, where the job has no such number.
    """
    try:
        found = json.loads((run_dir / METRICS).read_text(encoding="utf-8"))["unlearned"]
        values = tuple(float(found[name]) for name in metrics)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return values[0] if len(values) == 1 else values


def _record_failure(run_dir: Path, message: str, resume: str) -> None:
    """In status.json, unless the folder is another run's, or nothing was computed in it."""
    if read_status(run_dir)["state"] in ("finished", "interrupted"):
        return
    _write_last_words(run_dir, "failed", message, resume)
    remove_if_bare(run_dir)


def remove_if_bare(run_dir: Path) -> None:
    """Remove a folder that nothing was computed in, and its parents as far as they are empty then."""
    if not run_dir.is_dir() or not {item.name for item in run_dir.iterdir()} <= {CONFIG, STATUS}:
        return
    for name in (CONFIG, STATUS):
        (run_dir / name).unlink(missing_ok=True)
    for folder in (run_dir, *run_dir.parents):
        if folder.resolve() == Path.cwd() or any(folder.iterdir()):
            return
        folder.rmdir()


def read_status(run_dir: Path) -> dict[str, str | None]:
    """What status.json says; an unreadable or missing one reads as {"state": "unknown"}."""
    try:
        status: dict[str, str | None] = json.loads((run_dir / STATUS).read_text())
    except (OSError, ValueError):
        return {"state": "unknown", "error": None, "resume": None}
    return status


def mark_finished(run_dir: Path) -> None:
    """Say that all results are there, before the report is made from them."""
    _write_status(run_dir, "finished", None, read_status(run_dir)["resume"] or "")


def _write_status(run_dir: Path, state: str, error: str | None, resume: str) -> None:
    write_json(run_dir / STATUS, {"state": state, "error": error, "resume": resume})


def _write_last_words(run_dir: Path, state: str, error: str | None, resume: str) -> None:
    """`_write_status` where the disk allows it: a full one must not hide why a job ended."""
    with suppress(OSError):
        _write_status(run_dir, state, error, resume)


def _already_finished(cfg: DictConfig, run_dir: Path) -> bool:
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


@contextmanager
def relaunched_as(words: Sequence[str], run_dir: Path) -> Iterator[None]:
    """While open, processes for further devices are started for this job of a multirun alone, in its folder.

    Lightning starts them with the command line and the folder that it finds, and leaves its settings behind in the
    environment; they go afterwards, so that the next job starts processes of its own.
    """
    arguments, outside = sys.argv, {name: os.environ.get(name) for name in SET_BY_LIGHTNING}
    sys.argv = [arguments[0], *words]
    settings: Any = HydraConfig.get()
    with read_write(settings):
        settings.run.dir = str(run_dir)
    try:
        yield
    finally:
        sys.argv = arguments
        _leave_process_group()
        for name, value in outside.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _leave_process_group() -> None:
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
