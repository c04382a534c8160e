"""Many commands at once in one folder: `python -m benchmarks.folders FOLDER`.

Every case starts real commands on the sandbox at the same time, each in its own process. Whoever owns a folder must
end with the results that it has alone, to the last digit; all others must end with one line and exit code 1, and leave
the folder as it is. The cases write into FOLDER, which must not exist.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unlearning.training.checkpoint import CHECKPOINT

COMMANDS = 10
CASES = (
    "same_folder",
    "same_command",
    "default_folder",
    "sweep_beside_sweep",
    "sweep_after_sweep",
    "killed",
    "sandbox",
)
SHORT = (
    "method=grad_diff",
    "trainer=cpu",
    "trainer.max_steps=3",
    "trainer.checkpoint_every_seconds=0",
    "data.max_documents_per_task=1",
    "evaluation.references=false",
    "evaluation.max_new_tokens=4",
    "evaluation.max_questions=4",
    "logger=none",
    "save_model=false",
)
SMALL_MODEL = ("model.layers=1", "model.width=16", "model.heads=2", "recipe.epochs=1")
"""A sandbox that is not shipped, and so must be built."""
REFUSED = ("another command is running in this folder", "holds a run with another seed")
"""What a command is told that begins before the owner of the folder ends, and one that begins afterwards."""


@dataclass(frozen=True)
class Counted:
    """What became of the commands of one case."""

    commands: int
    finished: int
    """Commands that ended with exit code 0."""
    refused: int
    """Commands that ended with exit code 1 and one line that says whose the folder is."""
    runs: int
    """Run folders that hold finished results."""
    wrong: int
    """Results that differ from those of the same command alone, and curves in which a step is missing or twice."""


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a short run in the working folder `folder`."""
    code = "import sys; from unlearning.cli import unlearn; sys.argv[0] = 'unlearn'; unlearn()"
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *words, *SHORT]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def count(
    folder: Path, processes: Sequence[subprocess.Popen[str]], expected: Callable[[int], Any], finished_before: int = 0
) -> Counted:
    """Wait for the commands, and count. `expected` is the result of a seed's command alone."""
    refused = 0
    for process in processes:
        _, errors = process.communicate()
        if process.returncode == 1 and errors.count("\n") == 1 and any(reason in errors for reason in REFUSED):
            refused += 1
        elif process.returncode not in (0, -signal.SIGKILL):
            print(errors, file=sys.stderr)
    runs = [path.parent for path in sorted(folder.rglob("metrics.json"))]
    done = sum(process.returncode == 0 for process in processes)
    wrong = sum(result(run) != expected(seed_of(run)) for run in runs)
    return Counted(len(processes), done, refused, len(runs) - finished_before, wrong)


def result(run: Path) -> Any:
    """Return the scores and the curve of a run, without what its clock says."""
    curve = [line.split(",") for line in (run / "loss_curve.csv").read_text().splitlines()]
    clocks = {place for place, name in enumerate(curve[0]) if "seconds" in name}
    steps = [[cell for place, cell in enumerate(line) if place not in clocks] for line in curve]
    state = json.loads((run / "status.json").read_text())["state"]
    return state, json.loads((run / "metrics.json").read_text())["unlearned"], steps


def seed_of(run: Path) -> int:
    """Return the seed in a run's configuration."""
    lines = (run / "config.yaml").read_text().splitlines()
    return next(int(line.removeprefix("seed: ")) for line in lines if line.startswith("seed: "))


class Cases:
    """The cases, each in a working folder of its own below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.alone: dict[int, Any] = {}
        self.cache = f"cache_dir={root / 'cache'}"

    def expected(self, seed: int) -> Any:
        """Return the result of a command of this seed that runs alone."""
        if seed not in self.alone:
            folder = self.place("alone")
            start(folder, f"seed={seed}", f"hydra.run.dir={seed}", self.cache).communicate()
            self.alone[seed] = result(folder / str(seed))
        return self.alone[seed]

    def place(self, name: str) -> Path:
        """Return the working folder of a case."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return self.root / name

    def same_folder(self) -> Counted:
        """Ten commands of ten seeds in one folder: one of them runs."""
        folder = self.place("same_folder")
        started = [start(folder, f"seed={seed}", "hydra.run.dir=run", self.cache) for seed in range(COMMANDS)]
        return count(folder, started, self.expected)

    def same_command(self) -> Counted:
        """One command ten times in one folder: one of them runs."""
        folder = self.place("same_command")
        return count(folder, [start(folder, "hydra.run.dir=run", self.cache) for _ in range(COMMANDS)], self.expected)

    def default_folder(self) -> Counted:
        """Ten commands without a folder: all of them run, each in its own."""
        folder = self.place("default_folder")
        return count(folder, [start(folder, self.cache) for _ in range(COMMANDS)], self.expected)

    def sweep_beside_sweep(self) -> Counted:
        """Two sweeps at once in one folder: one of them runs both of its jobs."""
        folder = self.place("sweeps")
        both = [self.sweep(folder, "0,1"), self.sweep(folder, "2,3")]
        return count(folder, both, self.expected)

    def sweep_after_sweep(self) -> Counted:
        """A sweep in the folder of a finished one: two jobs are added, and no finished one is touched."""
        folder = self.place("sweeps")
        jobs = [path.parent for path in folder.rglob("metrics.json")]
        before = {path: path.read_bytes() for job in jobs for path in job.rglob("*") if path.is_file()}
        counted = count(folder, [self.sweep(folder, "0,1,2,3")], self.expected, len(jobs))
        assert all(path.read_bytes() == content for path, content in before.items()), "a finished job was changed"
        return counted

    def killed(self) -> Counted:
        """A run that is killed while it trains, while another waits to be refused, and the same command again."""
        folder = self.place("killed")
        first = start(folder, "hydra.run.dir=run", self.cache)
        while not any((folder / "run" / CHECKPOINT).glob("*.safetensors")) and first.poll() is None:
            time.sleep(0.01)
        second = start(folder, "hydra.run.dir=run", self.cache)
        second.wait()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        return count(folder, [second, start(folder, "hydra.run.dir=run", self.cache)], self.expected)

    def sandbox(self) -> Counted:
        """Ten commands that need a sandbox which is not built, while the one that began to build it is killed."""
        folder = self.place("sandbox")
        words = (*SMALL_MODEL, "cache_dir=cache")
        first = start(folder, *words)
        while not list(folder.glob("cache/sandbox/*/target/*")) and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        started = [start(folder, *words) for _ in range(COMMANDS)]
        found: list[Any] = []

        def all_equal(_: int) -> Any:
            runs = sorted(path.parent for path in folder.rglob("metrics.json"))
            found[:] = found or [result(runs[0])]
            return found[0]

        return count(folder, started, all_equal)

    def sweep(self, folder: Path, seeds: str) -> subprocess.Popen[str]:
        """Start a sweep over these seeds."""
        return start(folder, "-m", f"seed={seeds}", "hydra.sweep.dir=sweep", self.cache)


def main() -> None:
    """Run all cases, or those that are named, and print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    given = parser.parse_args()
    cases = Cases(given.folder.resolve())
    table = Table("case", "commands", "finished", "refused", "runs", "wrong results")
    found = {}
    for name in given.cases:
        counted = getattr(cases, name)()
        found[name] = asdict(counted)
        table.add_row(name, *map(str, asdict(counted).values()))
        print(name, counted, flush=True)
    Console().print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
