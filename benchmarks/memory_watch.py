"""The peaks of the memory of processes, stage by stage, read from /proc (Linux)."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGE = "> "
"""A line on standard output that begins with this names the stage that begins; all commands print such lines."""
SECONDS = 0.15
"""Time between two looks."""
KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Bytes that some processes take together; what they share counts once."""

    held: int = 0
    """What only they can give back."""
    resident: int = 0
    """Also the pages of files that they have mapped, such as weights that were read but not changed. The system takes
    these back where memory is short."""

    def highest(self, other: "Memory") -> "Memory":
        """Return the larger of each of the two numbers."""
        return Memory(max(self.held, other.held), max(self.resident, other.resident))


@dataclass
class Watched:
    """What was seen of some processes."""

    output: str
    """Standard output and errors of the first process."""
    peaks: dict[str, Memory] = field(default_factory=dict)
    """The peak in each stage; "" is the time before the first one."""
    seconds: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[float, Memory]] = field(default_factory=list)
    """All looks, with their times as `time.time` gives them."""


def watch(processes: Sequence["subprocess.Popen[str]"], until: Callable[[], bool] | None = None) -> Watched:
    """Wait for the processes, which write into pipes, and return their peaks. The first one names the stages.

    Once `until` is true, the processes are killed (SIGKILL). Raises SystemExit with the first one's output where a
    process fails, or ends before it is killed.
    """
    lines: list[str] = []
    stage = [""]
    reader = threading.Thread(target=_follow, args=(processes[0], lines, stage))
    reader.start()
    found = Watched("")
    before = time.monotonic()
    while any(process.poll() is None for process in processes):
        time.sleep(SECONDS)
        now, name = time.monotonic(), stage[0]
        found.curve.append((time.time(), _together(processes)))
        found.peaks[name] = found.peaks.get(name, Memory()).highest(found.curve[-1][1])
        found.seconds[name] = found.seconds.get(name, 0.0) + now - before
        before = now
        if until is not None and until():
            for process in processes:
                process.kill()
    reader.join()
    found.output = "".join(lines)
    wanted = 0 if until is None else -signal.SIGKILL
    if any(process.returncode != wanted for process in processes):
        raise SystemExit(found.output[-4000:])
    return found


def start(words: Sequence[str], **environment: str) -> "subprocess.Popen[str]":
    """Start a process in the project's folder; errors go to its output."""
    own = {**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", **environment}
    return subprocess.Popen(words, cwd=ROOT, env=own, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _follow(process: "subprocess.Popen[str]", lines: list[str], stage: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith(STAGE):
            stage[0] = line.removeprefix(STAGE).strip()


def _together(processes: Sequence["subprocess.Popen[str]"]) -> Memory:
    """Return what the processes take now."""
    of = _own if len(processes) == 1 else _share
    total = [of(process.pid) for process in processes]
    return Memory(sum(one.held for one in total), sum(one.resident for one in total))


def _own(pid: int) -> Memory:
    """Return what one process takes; nothing for one that has ended."""
    sizes = _sizes(pid, "status")
    held = sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)
    return Memory(held, held + sizes.get("RssFile", 0))


def _share(pid: int) -> Memory:
    """Return what one process takes, a page that several have counted in parts. The system takes long to count so."""
    sizes = _sizes(pid, "smaps_rollup")
    return Memory(sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0), sizes.get("Pss", 0))


def _sizes(pid: int, file: str) -> dict[str, int]:
    """Return the bytes that a file of /proc names; nothing for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines if line.endswith(" kB")}
