"""What this machine has: memory of a device, free disk, and a name under which measured rates are kept."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import torch

from unlearning.config.trainer import TrainerConfig
from unlearning.training.hardware import one_device

CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
CUDA_BYTES = float(2**30)
"""What CUDA's own context takes, about."""
FILLS_GAPS = (2, 38)
"""The first version of glibc whose aligned allocation reuses freed places: 2.38 looks for one that is aligned (bug
14581), and later versions join what aligning cuts off with the place beside it (bug 30723)."""
MMAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_"
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Files of cgroup version 2 and of version 1."""


@dataclass(frozen=True)
class Machine:
    """One kind of device, and how many of them a run uses."""

    name: str
    """Of the GPU, or of the processor, with the threads that PyTorch uses and the number of cores."""
    kind: str
    """"cuda" or "cpu"."""
    devices: int
    memory_bytes: float
    """Memory of each GPU; of a CPU, what all processes of this computer may take together."""
    swap_bytes: float = 0.0
    """Disk that a CPU's memory may be moved to: slow, and never planned with."""
    libraries_bytes: float = 0.0
    """What the libraries of one process take on the device."""
    leaves_gaps: bool = False
    """Whether the place of a freed tensor stays empty when the next one of its size is made (`leaves_gaps`)."""

    @property
    def device_bytes(self) -> float:
        """Memory for each of the run's processes."""
        return self.memory_bytes if self.kind == "cuda" else self.memory_bytes / self.devices


def this_machine(trainer: TrainerConfig) -> Machine:
    """Return what a run with these settings would use."""
    device = one_device(trainer)
    if device.type == "cuda":
        found = torch.cuda.device_count() if trainer.devices == "auto" else int(trainer.devices)
        gpu = torch.cuda.get_device_properties(device)
        return Machine(gpu.name, "cuda", found, float(gpu.total_memory), libraries_bytes=CUDA_BYTES)
    processes = 1 if trainer.devices == "auto" else int(trainer.devices)
    processor = f"{platform.machine()} {_processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"
    memory, swap = cpu_memory_bytes(CGROUPS, OWN_CGROUP), float(psutil.swap_memory().total)
    gaps = leaves_gaps(platform.libc_ver(), os.environ)
    return Machine(processor, "cpu", processes, memory, swap, _libraries_bytes(), gaps)


def leaves_gaps(library: tuple[str, str], environment: Mapping[str, str]) -> bool:
    """Return whether a C library of that name and version leaves gaps: glibc before 2.38 does.

    PyTorch asks for memory at aligned addresses. To align one, older versions take a larger place and free its ends,
    which they do not join with it again: the place is then too small for the next tensor of that size. With a
    threshold in the environment, large tensors have pages of their own and leave no gap.
    """
    name, version = library
    if name != "glibc" or MMAP_THRESHOLD in environment:
        return False
    return tuple(int(part) for part in version.split(".")[:2]) < FILLS_GAPS


def cpu_memory_bytes(cgroups: Path, own_cgroup: Path) -> float:
    """Return the memory that processes here may take: that of the computer, or the least limit of a cgroup around them.

    `cgroups` is where cgroups are mounted, `own_cgroup` the file that names those of this process.
    """
    found = [float(psutil.virtual_memory().total)]
    for folder in (cgroups, *_around(cgroups, own_cgroup)):
        for name in LIMITS:
            try:
                found.append(float((folder / name).read_text()))
            except (OSError, ValueError):
                continue  # no such file, or "max"
    return min(found)


@cache
def _libraries_bytes() -> float:
    """Return what this process takes now; it is first asked when the libraries are loaded, and no weights yet."""
    return float(psutil.Process().memory_info().rss)


def _around(cgroups: Path, own_cgroup: Path) -> list[Path]:
    """Return the folders of this process's own cgroup (version 2) and of those around it."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return []
    inside = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    return [cgroups / Path(*inside.split("/")[:depth]) for depth in range(1, len(Path(inside).parts) + 1)]


def _processor() -> str:
    """Return the processor's name as Linux has it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
