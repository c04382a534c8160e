"""Where a result came from: the code, the libraries, the hardware and the time that made it.

A record is meant to be published, so it names no user, no host, no environment variable and no home folder.
"""

import hashlib
import importlib.metadata
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LIBRARIES = {
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "lightning": "pytorch-lightning",
    "hydra": "hydra-core",
}
_HOMES = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^/\\\s,'\"\]]+|/root(?=[/\s,'\"\]]|$)")


def provenance(
    *,
    data_fingerprint: str | None,
    seeds: Mapping[str, int],
    overrides: Sequence[str],
    started: datetime,
    ended: datetime,
    stage_seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The record, as plain data for provenance.json; what cannot be found out is null.

    Times need a zone. `overrides` are the command line's; home folders in them become "~".
    """
    return {
        "package": _version("unlearning"),
        "source": source_state(checkout()),
        "requirements_lock_sha256": _lock_hash(checkout()),
        "data_fingerprint": data_fingerprint,
        "seeds": dict(seeds),
        "python": platform.python_version(),
        "libraries": {name: _version(package) for name, package in LIBRARIES.items()},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_hardware(),
        "overrides": without_home(list(overrides)),
        "started": _utc(started),
        "ended": _utc(ended),
        "stage_seconds": {name: round(seconds, 3) for name, seconds in stage_seconds.items()},
        **_peak_memory(),
    }


def without_home(value: Any) -> Any:
    """Plain data with every home folder in its strings written as "~"."""
    if isinstance(value, str):
        home = str(Path.home())
        shorter = re.sub(re.escape(home) + r"(?=[/\\\s,'\"\]]|$)", "~", value) if len(home) > 1 else value
        return _HOMES.sub("~", shorter)
    if isinstance(value, Mapping):
        return {key: without_home(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_home(item) for item in value]
    return value


def checkout() -> Path | None:
    """The source checkout this package runs from; None for an installed wheel.

    Only the folder right above the package counts: a wheel in a virtual environment may lie inside somebody
    else's repository, whose commit says nothing about this code.
    """
    folder = Path(__file__).resolve().parent.parent.parent
    return folder if (folder / ".git").exists() and (folder / "pyproject.toml").exists() else None


def source_state(folder: Path | None) -> dict[str, Any] | None:
    """Commit of the checkout and whether files differ from it (untracked ones included); None without git."""
    if folder is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _lock_hash(folder: Path | None) -> str | None:
    if folder is None:
        return None
    try:
        return hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest()
    except OSError:
        return None


def _utc(moment: datetime) -> str:
    """ISO 8601 to the second. Raises ValueError for a time without a zone, which could mean anything."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()}: a time zone is needed")
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _hardware() -> dict[str, Any]:
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if on_gpu else _processor(),
        "devices": torch.cuda.device_count() if on_gpu else 1,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The processor's name; Python's own answer is empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _peak_memory() -> dict[str, int | None]:
    """Bytes: of the process, and of tensors on the GPU (None where none was used)."""
    import torch

    used = torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0
    gpu = torch.cuda.max_memory_allocated() if used else None
    return {"peak_memory_bytes": _resident_bytes(), "peak_gpu_memory_bytes": gpu}


def _resident_bytes() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
