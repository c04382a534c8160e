"""Locks between processes: one holds a folder, a kill lets it go, and entries of a cache are made once."""

import errno
import fcntl
import multiprocessing
import os
import signal
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from unlearning.artefacts import write_text
from unlearning.errors import InputError
from unlearning.locks.lock import LOCK, InUseError, lock_file, only_one, take

PROCESSES = 10
FORK = multiprocessing.get_context("fork")


def try_to_take(folder: Path, together: Barrier, answers: "Queue[bool]") -> None:
    """Take the folder's lock and keep it until all processes have tried."""
    together.wait()
    try:
        lock = take(folder)
    except InUseError:
        answers.put(False)
        together.wait()
    else:
        answers.put(True)
        together.wait()
        lock.release()


def test_of_ten_processes_one_takes_the_folder(tmp_path: Path) -> None:
    """The folder does not exist before, so that all of them make it."""
    together, answers = FORK.Barrier(PROCESSES), FORK.Queue()
    processes = [
        FORK.Process(target=try_to_take, args=(tmp_path / "a" / "run", together, answers)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    assert sorted(answers.get() for _ in processes) == [False] * (PROCESSES - 1) + [True]
    for process in processes:
        process.join()
    take(tmp_path / "a" / "run").release()


def hold(folder: Path, held: "Queue[bool]") -> None:
    """Take the folder's lock and keep it."""
    lock = take(folder)
    held.put(lock.is_locked)
    signal.pause()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    """While the process lives, the folder is in use; after a kill, nothing has to be cleared up."""
    held = FORK.Queue()
    process = FORK.Process(target=hold, args=(tmp_path, held))
    process.start()
    try:
        assert held.get()
        with pytest.raises(InUseError, match="another command is running in this folder"):
            take(tmp_path)
    finally:
        process.kill()
        process.join()
    take(tmp_path).release()


def make_once(entry: Path, made: Path) -> None:
    """Make an entry of a cache unless it is there, and note that this process made it."""
    with only_one(lock_file(entry)):
        if not entry.exists():
            (made / str(os.getpid())).touch()
            write_text(entry, "the entry")


def test_an_entry_of_a_cache_is_made_once(tmp_path: Path) -> None:
    """The processes that come later wait and then find it."""
    made = tmp_path / "made"
    made.mkdir()
    processes = [FORK.Process(target=make_once, args=(tmp_path / "cache" / "entry", made)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert len(list(made.iterdir())) == 1
    assert (tmp_path / "cache" / "entry").read_text() == "the entry"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says why and what to do, and the folder that was made is removed again."""

    def refuses(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuses)
    with pytest.raises(
        InputError, match=f"run/.lock: cannot be locked \\({os.strerror(number)}\\); choose a folder whose"
    ):
        take(tmp_path / "runs" / "run")
    assert not (tmp_path / "runs").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is refused in one line."""
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match=r"run: cannot be made or written \(File exists\)"):
        take(tmp_path / "run")


def test_the_lock_of_a_folder_is_a_hidden_file(tmp_path: Path) -> None:
    """It stays after the run, and the folder can be taken again."""
    for _ in range(2):
        take(tmp_path).release()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
