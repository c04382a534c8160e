"""The folder of one job of a multirun, which may lie beside jobs of earlier multiruns in the same folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from filelock import FileLock
from omegaconf import DictConfig

from unlearning.errors import InputError
from unlearning.locks.lock import InUseError, take
from unlearning.runs.same_run import CONFIG, other_setting


@contextmanager
def own_job_folder(asked: Path, number: int, cfg: DictConfig) -> Iterator[Path]:
    """Take the folder of a job for as long as the block lasts, and yield it.

    It is the folder beside `asked` that holds this very run already, so that a multirun which is started again goes on,
    whatever number the job had then. Else it is `asked`, which Hydra names by the job's number, or the next such name
    that holds no other run. Raises InUseError where another command is running this very run.
    """
    folder, lock = _take_own(asked, number, cfg)
    try:
        if folder != asked:
            with suppress(OSError):
                asked.rmdir()  # Hydra has made it; where it is another job's it is not empty
        yield folder
    finally:
        lock.release()


def _take_own(asked: Path, number: int, cfg: DictConfig) -> tuple[Path, FileLock]:
    """Return the job's folder and its lock. Raises InUseError as `own_job_folder`."""
    for sibling in sorted(path.parent for path in asked.parent.glob(f"*/{CONFIG}")):
        if _holds(sibling, cfg):
            return sibling, take(sibling)
    for folder in _names(asked, number):
        if (folder / CONFIG).exists():
            continue
        try:
            lock = take(folder)
        except InUseError:
            continue
        if not (folder / CONFIG).exists() or _holds(folder, cfg):
            return folder, lock
        # Another command has put its run there just now.
        lock.release()
    raise AssertionError("there is always a next name")


def _holds(folder: Path, cfg: DictConfig) -> bool:
    """Return whether the folder holds this very run; one whose config.yaml cannot be read does not."""
    try:
        return other_setting(folder, cfg, failed=False) is None
    except InputError:
        return False


def _names(asked: Path, number: int) -> Iterator[Path]:
    """Yield `asked`, and then names beside it without end.

    A name that begins with the job's number goes on with the next numbers (2-npo, 3-npo), another one with an ending
    (npo, npo-2, npo-3).
    """
    before, dash, rest = asked.name.partition("-")
    yield asked
    for further in count(1):
        if before == str(number):
            yield asked.with_name(f"{number + further}{dash}{rest}")
        else:
            yield asked.with_name(f"{asked.name}-{further + 1}")
