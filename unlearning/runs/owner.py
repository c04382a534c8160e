"""Whose a folder is: the command that writes into it holds its lock until it ends.

A command that does not own its folder writes and removes nothing there. So the folder of a run, or of a multirun, is
taken before Hydra makes it; each job of a multirun takes its own folder besides (`job_folder`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from unlearning.context import on_main_process
from unlearning.errors import InputError
from unlearning.locks.lock import InUseError, take

_held: list[FileLock] = []
"""The lock of the command's folder. It is here and not in the callback, which launchers send to other processes."""


class OwnFolder(Callback):
    """Hydra's hook at the start of a run or multirun. conf/hydra/runs.yaml names it."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Take the folder of a run, or exit with code 1."""
        _take_or_exit(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Take the folder of a multirun, or exit with code 1."""
        _take_or_exit(config, "hydra.sweep.dir")


@contextmanager
def own_folder(config: DictConfig, key: str) -> Iterator[None]:
    """Own the folder under `key` of a configuration for as long as the block lasts.

    Raises InputError where another command runs in it, or where it cannot be made or written.
    """
    if not on_main_process():
        # Processes for further devices write nothing.
        yield
        return
    lock = _take(config, key)
    try:
        yield
    finally:
        lock.release()


def let_go() -> None:
    """Let go of the folder of the command, which has ended."""
    while _held:
        _held.pop().release()


def _take_or_exit(config: DictConfig, key: str) -> None:
    """Take the folder under `key`. What speaks against it becomes one line and exit code 1.

    Hydra would only warn of an error in a hook, and go on.
    """
    if not on_main_process():
        # Processes for further devices write nothing.
        return
    try:
        _held.append(_take(config, key))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _take(config: DictConfig, key: str) -> FileLock:
    """Return the lock of the folder under `key`, held.

    A folder that is named after the time, and that another command took in the same microsecond, is named anew. Raises
    InputError as `take`.
    """
    while True:
        folder = Path(OmegaConf.select(config, key))
        try:
            return take(folder)
        except InUseError as error:
            OmegaConf.clear_cache(config)
            if Path(OmegaConf.select(config, key)) == folder:
                raise InUseError(f"{error}; wait until it ends, or choose another {key}") from None
