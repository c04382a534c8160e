"""Locks that keep two processes from writing the same files.

A lock is the operating system's own, on a file (`flock`). It ends with the process that holds it, however that process
ends, so a crash or a kill leaves nothing to clear up. The file stays; only a lock that is held on it has a meaning.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from unlearning.artefacts import remove_if_only
from unlearning.errors import InputError
from unlearning.locks.file_system import local_locks_option

LOCK = ".lock"
"""Name of the lock file of a folder."""
ATTEMPTS = 100
"""How often a folder is made again that somebody else removes before its lock can be taken."""


class InUseError(InputError):
    """Another process holds the lock."""


def take(folder: Path) -> FileLock:
    """Make the folder if it is missing, and return its lock, held by this process as long as the object lives.

    Raises InUseError where another process holds it, and InputError where the folder cannot be written, or lies on a
    file system without locks that all machines see. A folder that cannot be taken is left as it was.
    """
    for _ in range(ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _hold(folder / LOCK, blocking=False)
        except Timeout:
            raise InUseError(f"{folder}: another command is running in this folder") from None
        except FileNotFoundError:
            # Its owner, who had computed nothing, has removed the folder just now.
            continue
        except InputError:
            remove_if_only(folder, {LOCK})
            raise
        except OSError as error:
            raise InputError(f"{folder}: cannot be made or written ({error.strerror or error})") from error
    raise InputError(f"{folder}: cannot be made, another command removes it again and again")


@contextmanager
def only_one(file: Path) -> Iterator[None]:
    """Let one process at a time make an entry of a cache; `file` is the entry's lock file.

    Where another process is at it, say so and wait until it ends. It may have made the entry by then or not, so the
    caller looks for the entry inside the block. Raises InputError where the file system has no locks.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = _hold(file, blocking=False)
    except Timeout:
        Console(stderr=True).print(f"waiting for another command, which computes the same: {file}", highlight=False)
        lock = _hold(file, blocking=True)
    try:
        yield
    finally:
        lock.release()


def lock_file(entry: Path) -> Path:
    """Return the lock file of an entry that is a single file: hidden, and beside it."""
    return entry.with_name(f".{entry.name}.lock")


def _hold(file: Path, blocking: bool) -> FileLock:
    """Return the lock of the file, held. Raises Timeout where another process holds it and `blocking` is false.

    Raises InputError where the file system has no locks, or none that other machines see.
    """
    option = local_locks_option(file.parent)
    if option is not None:
        raise InputError(
            f"{file.parent}: the mount option {option} hides its locks from other machines; choose another file system"
        )
    # thread_local=False: the thread that ends a run is not always the one that began it.
    lock = FileLock(file, blocking=blocking, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except (Timeout, FileNotFoundError):
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{file}: cannot be locked ({reason}); choose a folder whose file system has locks") from error
    return lock
