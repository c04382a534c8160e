"""What code a run is of: the commit of its checkout, and the hash of the lock file."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path
from typing import Any


@cache
def code_state() -> dict[str, Any]:
    """Return the part of a record that says what code runs.

    It is read once, as a process starts its first run: the code is loaded then, and a commit that is made while it
    runs does not change it.
    """
    return {"source": source_state(checkout()), "requirements_lock_sha256": _lock_hash(checkout())}


def checkout() -> Path | None:
    """Return the source checkout that this package runs from; None for an installed wheel.

    Only the folder right above the package counts: a wheel in a virtual environment may lie inside somebody
    else's repository, whose commit says nothing about this code.
    """
    folder = Path(__file__).resolve().parent.parent.parent
    return folder if (folder / ".git").exists() and (folder / "pyproject.toml").exists() else None


def source_state(folder: Path | None) -> dict[str, Any] | None:
    """Return the commit of the checkout, and whether files differ from it or are untracked; None without git."""
    if folder is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints; None where it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _lock_hash(folder: Path | None) -> str | None:
    """Return the SHA-256 of the checkout's requirements.lock; None where there is none."""
    if folder is None:
        return None
    try:
        return hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest()
    except OSError:
        return None
