"""What checkpoints cost, and what a kill in the middle of one loses: `python -m benchmarks.checkpoints FOLDER`.

The model has SmolLM2-135M's shape and random weights; all of them are trained, so a checkpoint has 1.6 GB. Each run is
a process of its own. The first one trains for some minutes with the settings of every command, and is watched. Then one
is killed (SIGKILL) ten times while a checkpoint is half written, and goes on each time; it must end with the weights
and the losses of a run that nothing interrupted, to the last bit.
"""

import argparse
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file

from benchmarks.checkpoint_run import EVERY_SECONDS, Record, train
from benchmarks.memory_watch import Watched, start, watch
from benchmarks.shapes import write_random_model
from unlearning.training.callbacks import LOSS_CURVE
from unlearning.training.checkpoint import CHECKPOINT

GIB = 2**30
BLOCK = 512
"""Bytes of a block in the system's count."""
MODEL = "model"
KILLS, KILL_STEPS = 10, 14
PARTS = ("measured", "killed")
PARTIAL = ".*.partial"
"""Files that are being written (`artefacts.write_file`)."""
BARS = {
    "seconds that checkpoints cost": "<= 0.02",
    "seconds that steps took longer": "<= 0.02",
    "GiB that checkpoints hold": "<= 1",
    "runs equal after a kill": "1",
}


def main() -> None:
    """Measure, print the tables, and a last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=150, help="of the run whose time and memory are measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=EVERY_SECONDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        torch.set_num_threads(given.threads)
        print(json.dumps(train(given.folder / given.train, given.folder / MODEL, given.steps, given.mode)))
        return
    write_random_model("smollm2_135m", given.folder / MODEL, torch.float32)
    results = {}
    if "measured" in given.parts:
        results = measured(given.folder, given.steps, given.threads)
    if "killed" in given.parts:
        results["runs equal after a kill"] = killed(given.folder, given.threads)
    show(results)
    print(json.dumps(results))


def begin(folder: Path, name: str, steps: int, mode: str, threads: int) -> "subprocess.Popen[str]":
    """Start a process that trains in folder/`name`."""
    given = {"train": name, "steps": steps, "mode": mode, "threads": threads}
    options = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "benchmarks.checkpoints", str(folder), *options]
    return start(command, OMP_NUM_THREADS=str(threads))


def measured(folder: Path, steps: int, threads: int) -> dict[str, dict[str, float]]:
    """Train with the settings of every command. Return what checkpoints take of its time and its memory."""
    shutil.rmtree(folder / "measured", ignore_errors=True)
    seen = watch([begin(folder, "measured", steps, "measured", threads)])
    record: Record = json.loads(seen.output.splitlines()[-1])
    seconds = record["steps"][-1] - record["begin"]
    extra = highest(seen, record["copies"][0][0], record["steps"][-1]) - highest(seen, 0, record["copies"][0][0])
    write_curve(seen, record, folder / "curve.csv")
    print(
        f"{len(record['copies'])} checkpoints in {seconds:.0f} s; copies {durations(record['copies'])} s, "
        f"writes {durations(record['writes'])} s; median step {statistics.median(step_seconds(record)):.2f} s"
    )
    return {
        "seconds that checkpoints cost": pair(record["cost_seconds"], seconds),
        "seconds that steps took longer": pair(delay(record), seconds),
        "GiB that checkpoints hold": pair(extra / GIB, state_bytes(folder) / GIB),
    }


def step_seconds(record: Record) -> list[float]:
    """Return the seconds of each step but the first, which warms up."""
    return [end - start for start, end in pairwise(record["steps"])]


def delay(record: Record) -> float:
    """Return by how much the steps beside a copy or a write took longer, in all, than the median of the others."""
    busy = [(start, end) for start, end in (*record["copies"], *record["writes"])]
    spans = list(pairwise(record["steps"]))
    beside = [any(start < stop and begin < end for start, end in busy) for begin, stop in spans]
    timed = list(zip(step_seconds(record), beside, strict=True))
    usual = statistics.median(seconds for seconds, near in timed if not near)
    return sum(seconds - usual for seconds, near in timed if near)


def highest(seen: Watched, start: float, end: float) -> int:
    """Return the most bytes that the run held between two moments."""
    return max(memory.held for moment, memory in seen.curve if start <= moment <= end)


def write_curve(seen: Watched, record: Record, path: Path) -> None:
    """Write what the run held at each look: seconds since training began, GiB, and what a checkpoint did then."""
    lines = ["seconds,held_gib,checkpoint"]
    for moment, memory in seen.curve:
        doing = [name for name in ("copies", "writes") if any(a <= moment <= b for a, b in record[name])]
        lines.append(f"{moment - record['begin']:.2f},{memory.held / GIB:.3f},{' '.join(doing)}")
    path.write_text("\n".join(lines) + "\n")


def killed(folder: Path, threads: int) -> dict[str, float]:
    """Return how many of ten kills left a run that ended as the one that nothing interrupted: all of them, or none."""
    for name in ("whole", "cut"):
        shutil.rmtree(folder / name, ignore_errors=True)
    finish(begin(folder, "whole", KILL_STEPS, "waiting", threads))
    rng, kills = random.Random(0), 0
    while kills < KILLS:
        mode = ("waiting", "background")[kills % 2]
        process = begin(folder, "cut", KILL_STEPS, mode, threads)
        written = kill_while_writing(process, folder / "cut" / CHECKPOINT, rng.randint(1, 2), rng.random())
        if written is not None:
            kills += 1
            print(f"kill {kills}, {mode}: {written / GIB:.2f} GiB were written", flush=True)
    finish(begin(folder, "cut", KILL_STEPS, "waiting", threads))
    return pair(kills if same_results(folder / "whole", folder / "cut") else 0, KILLS)


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait for a run. Raises SystemExit with its output where it fails."""
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(output[-4000:])


def kill_while_writing(process: "subprocess.Popen[str]", folder: Path, number: int, share: float) -> int | None:
    """Kill a run once this share of its `number`-th checkpoint is written, and is not yet under its name.

    Returns the bytes that were written; None where the file got its name before the kill. Raises SystemExit where the
    run ended before that.
    """
    threading.Thread(target=process.communicate).start()  # reads what it prints
    size, seen = state_bytes(folder.parents[1]), set[str]()
    while process.poll() is None:
        for path in folder.glob(PARTIAL):
            seen.add(path.name)
            with suppress(FileNotFoundError):
                # The file has its whole size from the beginning, but not its blocks.
                if len(seen) == number and path.stat().st_blocks * BLOCK >= share * size:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return path.stat().st_blocks * BLOCK
        time.sleep(0.002)
    if process.returncode != -signal.SIGKILL:
        raise SystemExit(f"the run ended with {process.returncode} before it was killed")
    return None


def same_results(whole: Path, cut: Path) -> bool:
    """Return whether two runs have the same losses, and the same weights to the last bit."""
    ours, theirs = (load_file(next((folder / CHECKPOINT).glob("*.safetensors"))) for folder in (whole, cut))
    equal = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    return equal and (whole / LOSS_CURVE).read_bytes() == (cut / LOSS_CURVE).read_bytes()


def state_bytes(folder: Path) -> int:
    """Return the size of a checkpoint: the weights and two moments of each, all of them float32."""
    return 3 * sum(path.stat().st_size for path in (folder / MODEL).glob("*.safetensors"))


def pair(ours: float, plain: float) -> dict[str, float]:
    """Return both numbers and their ratio."""
    return {"ours": round(ours, 2), "plain": round(plain, 2), "ratio": round(ours / plain, 4)}


def durations(spans: Sequence[Sequence[float]]) -> str:
    """Return the lengths of some spans of time."""
    return ", ".join(f"{end - start:.1f}" for start, end in spans)


def show(results: Mapping[str, Mapping[str, float]]) -> None:
    """Print the table."""
    table = Table("what", "ours", "of", "ratio", "bar")
    for name, found in results.items():
        table.add_row(name, *(f"{found[key]:g}" for key in ("ours", "plain", "ratio")), BARS[name])
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
