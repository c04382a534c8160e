"""A multirun: the states of its jobs, what a job returns to a sweeper, and how a job starts further processes."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, read_write

from unlearning.runs.status import ENDED_EARLY, STATUS, read_status

METRICS = "metrics.json"
SET_BY_LIGHTNING = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Environment variables by which Lightning finds the processes for further devices."""


def job_folders(sweep_dir: Path) -> list[Path]:
    """Return the folders of a multirun's jobs, in order of their names."""
    return sorted(path.parent for path in sweep_dir.glob(f"*/{STATUS}"))


def unfinished(jobs: Sequence[Path], search: bool) -> list[Path]:
    """Return the jobs that are not finished. To a search, that training gave up is an answer too."""
    ended = ("finished", ENDED_EARLY) if search else ("finished",)
    return [job for job in jobs if read_status(job)["state"] not in ended]


def is_search(settings: DictConfig) -> bool:
    """Return whether the sweeper of these settings of Hydra chooses the jobs by what earlier ones returned."""
    return not settings.sweeper["_target_"].endswith(".BasicSweeper")


def searched_values(run_dir: Path, metrics: Sequence[str]) -> float | tuple[float, ...] | None:
    """Return the named metrics of the unlearned model for a sweeper that searches: one number, or several.

    None where the job has no such number. Optuna's sweeper counts that as a failed trial.
    """
    try:
        found = json.loads((run_dir / METRICS).read_text(encoding="utf-8"))["unlearned"]
        values = tuple(float(found[name]) for name in metrics)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return values[0] if len(values) == 1 else values


@contextmanager
def relaunched_alone(settings: HydraConf, run_dir: Path) -> Iterator[None]:
    """Let processes for further devices be started for this job of a multirun alone, in the job's own folder.

    Lightning starts them with the command line and the folder that it finds, and leaves its settings behind in the
    environment. They are removed afterwards, so that the next job starts processes of its own.
    """
    arguments, outside = sys.argv, {name: os.environ.get(name) for name in SET_BY_LIGHTNING}
    sys.argv = [arguments[0], *_own_words(settings)]
    hydra_settings: Any = HydraConfig.get()
    with read_write(hydra_settings):
        hydra_settings.run.dir = str(run_dir)
    try:
        yield
    finally:
        sys.argv = arguments
        _leave_process_group()
        for name, value in outside.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _own_words(settings: HydraConf) -> list[str]:
    """Return the command line of one job of a multirun, as if the job had been started alone."""
    of_the_multirun = ("hydra.mode=", "hydra.sweep", "hydra.run.dir=")
    kept = [word for word in settings.overrides.hydra if not word.startswith(of_the_multirun)]
    return [*settings.overrides.task, *kept, "hydra.mode=RUN"]


def _leave_process_group() -> None:
    """Close torch's process group if this job opened one."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
