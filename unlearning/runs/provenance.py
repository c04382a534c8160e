"""Where a result came from: the code, the libraries, the hardware and the time of the run that made it.

The record is meant to be published, so it names no user, no host, no environment variable and no home folder.
"""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unlearning import __version__

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
    code: Mapping[str, Any],
    data_fingerprint: str | None,
    seeds: Mapping[str, int],
    overrides: Sequence[str],
    tuned: Sequence[str],
    started: datetime,
    ended: datetime,
    stage_seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return the content of provenance.json as plain data; what cannot be found out is None.

    `code` is what `code_state` gave as the run started. `overrides` are the words of the command line; home folders in
    them become "~". `tuned` are the names of the files of conf/tuned that joined. Raises ValueError for a time
    without a zone.
    """
    return {
        "package": __version__,
        **code,
        "data_fingerprint": data_fingerprint,
        "seeds": dict(seeds),
        "python": platform.python_version(),
        "libraries": {name: _version(package) for name, package in LIBRARIES.items()},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_hardware(),
        "overrides": without_home(list(overrides)),
        "tuned": list(tuned),
        "started": _utc(started),
        "ended": _utc(ended),
        "stage_seconds": {name: round(seconds, 3) for name, seconds in stage_seconds.items()},
        **_peak_memory(),
    }


def without_home(value: Any) -> Any:
    """Return plain data with every home folder in its strings written as "~"."""
    if isinstance(value, str):
        home = str(Path.home())
        shorter = re.sub(re.escape(home) + r"(?=[/\\\s,'\"\]]|$)", "~", value) if len(home) > 1 else value
        return _HOMES.sub("~", shorter)
    if isinstance(value, Mapping):
        return {key: without_home(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_home(item) for item in value]
    return value


def _version(package: str) -> str | None:
    """Return the version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _utc(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, to the second. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()}: a time zone is needed")
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _hardware() -> dict[str, Any]:
    """Return the name and number of the devices, and torch's number of threads."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if on_gpu else _processor(),
        "devices": torch.cuda.device_count() if on_gpu else 1,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the processor's name. Linux names it in a file; Python's own answer is empty there."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _peak_memory() -> dict[str, int | None]:
    """Return the peak memory in bytes of the process, and of tensors on the GPU (None where no GPU was used)."""
    import torch

    used = torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0
    gpu = torch.cuda.max_memory_allocated() if used else None
    return {"peak_memory_bytes": _resident_bytes(), "peak_gpu_memory_bytes": gpu}


def _resident_bytes() -> int | None:
    """Return the peak resident memory of this process in bytes; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
