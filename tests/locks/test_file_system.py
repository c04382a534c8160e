"""Mounts whose locks other machines do not see."""

from pathlib import Path

import psutil
import pytest

from unlearning.errors import InputError
from unlearning.locks.file_system import local_locks_option
from unlearning.locks.lock import take

OPTIONS = {
    "rw,relatime": None,
    "rw,vers=4.2,local_lock=none,addr=10.0.0.1": None,
    "rw,vers=3,nolock,addr=10.0.0.1": "nolock",
    "rw,vers=3,local_lock=all": "local_lock=all",
    "rw,local_lock=flock": "local_lock=flock",
    "rw,local_lock=posix": None,
    "rw,flock,lazystatfs": None,
    "rw,localflock,lazystatfs": "localflock",
    "rw,nobrl,cache=strict": "nobrl",
}


def mounted(monkeypatch: pytest.MonkeyPatch, *mounts: tuple[str, str]) -> None:
    """Let the machine have these mounts: folder and options, in the order in which they were mounted."""
    found = [psutil._ntuples.sdiskpart("server:/", folder, "nfs", options) for folder, options in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: found)


@pytest.mark.parametrize(("options", "expected"), OPTIONS.items(), ids=OPTIONS)
def test_options_that_hide_locks(
    options: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS, Lustre and SMB have such options; posix locks are not those that are used here."""
    mounted(monkeypatch, ("/", "rw"), (str(tmp_path), options))
    assert local_locks_option(tmp_path / "not" / "made" / "yet") == expected


def test_the_innermost_and_latest_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount whose name is only the beginning of the folder's name is another one."""
    run = tmp_path / "data" / "run"
    mounted(monkeypatch, (str(tmp_path / "data"), "nolock"), ("/", "rw"), (str(tmp_path / "data"), "rw"))
    assert local_locks_option(run) is None
    mounted(monkeypatch, ("/", "rw"), (str(tmp_path / "dat"), "nolock"))
    assert local_locks_option(run) is None


def test_a_run_is_refused_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines would both own the folder."""
    mounted(monkeypatch, (str(tmp_path), "rw,nolock"))
    with pytest.raises(InputError, match="run: the mount option nolock hides its locks from other machines; choose"):
        take(tmp_path / "run")
    assert not (tmp_path / "run").exists()
