"""How much faster a training step is than Hugging Face's Trainer, and in how much memory: `python -m benchmarks.step`.

Ours is `fit`, the training of every command; plain is `plain_trainer.py`. Both train the same small OLMo with random
weights (float32, OLMo's vocabulary) on the same official rows ($UNLEARNING_DATA) in the same steps, each in a process
of its own, one after the other, and must have the same loss in every step. Memory is the peak of the resident set less
its peak before training, when model and rows were there.

With `--shape` the model has the shape of a released one. The share of the matrix rate is how many floating-point
operations of matrix products a second our steps need (`matrix_rate.py`), over how many this machine does of the same
products by themselves, in the same process.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import LAYERS, SHAPES, SMALL
from benchmarks.step_runs import CASES, CLOCKS, ROOT, Run, run

TOLERANCE = 1e-5
"""Allowed difference of a step's losses, in nats."""
MEMORY_BAR, RATE_BAR = 0.6, 0.6
GIGA = 1e9
BARS = {"MiB": f"<= {MEMORY_BAR:g}", "GFLOP/s": f">= {RATE_BAR:g}"}


@dataclass(frozen=True)
class Line:
    """One line of the table: some steps of a case's run."""

    case: str
    what: str
    bar: float
    since: str = "second step"
    """First counted step. A run's first step warms up; "beginning" counts it, and the tables of frozen layers too."""


CACHED = ("sugd_last_k",)
"""Cases whose later steps need less than all layers."""
LINES = {
    "sugd_lora": Line("sugd_lora", "8 rows a step, LoRA", 2.5),
    "sugd_last_k": Line("sugd_last_k", "8 rows a step, last 2 layers, caching included", 2.5, "beginning"),
    "last_k_cached": Line("sugd_last_k", "the same, second epoch", 4, "second epoch"),
    "joint": Line("joint", "SHA256's loss in ten parts, MLPs of layers 0-5", 2.5),
    "sugd_all": Line("sugd_all", "8 rows a step, all weights", 2.5),
}


def main() -> None:
    """Measure, print the table, and a last line of JSON: rows a second and MiB of ours and plain, and their ratio."""
    options = arguments()
    if options.side:
        torch.set_num_threads(options.threads)
        case = CASES[options.cases[0]]
        if options.quick:
            case = case.quick()
        model = (options.shape, options.width, options.compile)
        found = run(case, options.side, *model, options.steps, CLOCKS[options.clock])
        print(json.dumps(asdict(found)))
        return
    results: dict[str, dict[str, float]] = {}
    for name in options.cases:
        ours, plain = (in_a_process(name, side, options) for side in ("ours", "plain"))
        check(name, ours.losses, plain.losses)
        found = compare(name, ours, plain)
        print(json.dumps(found), file=sys.stderr)  # at once: all cases of a large shape take an hour
        results |= found
    show(results, options)
    print(json.dumps(results))


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Training steps against Hugging Face's Trainer.")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows")
    parser.add_argument("--steps", type=int, help="the first ones alone, 2 or more: for a shape of a billion weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", choices=(SMALL, *SHAPES), default=SMALL, help="of the model")
    parser.add_argument("--width", type=int, default=256, help="of the small model, a multiple of 64")
    parser.add_argument("--compile", action="store_true", help="ours with trainer.compile=true; compiling not counted")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a machine that does other work too")
    parser.add_argument("--side", choices=("ours", "plain"), help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(name: str, side: str, options: argparse.Namespace) -> Run:
    """Run one side in its own process and return the result."""
    passed = {"cases": name, "side": side, "shape": options.shape}
    passed |= {key: str(getattr(options, key)) for key in ("threads", "width", "clock")}
    words = [word for key, value in passed.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "benchmarks.step", *words]
    command += [f"--{flag}" for flag in ("quick", "compile") if getattr(options, flag)]
    command += ["--steps", str(options.steps)] if options.steps else []
    threads = {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}, {side}: failed\n{done.stdout}\n{done.stderr}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def check(name: str, ours: Sequence[float], plain: Sequence[float]) -> None:
    """Exit with a message if the two losses of a step differ."""
    if len(ours) != len(plain):
        raise SystemExit(f"{name}: {len(ours)} steps of ours, {len(plain)} plain ones")
    apart = [abs(one - other) for one, other in zip(ours, plain, strict=True)]
    print(f"{name}: losses of {len(ours)} steps at most {max(apart):.1e} apart", file=sys.stderr)
    for step, difference in enumerate(apart):
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name}: the loss of step {step} is {ours[step]} and {plain[step]}")


def compare(name: str, ours: Run, plain: Run) -> dict[str, dict[str, float]]:
    """Return the lines of a case, and its memory: what training adds, and the whole peak."""
    found = {
        title: pair(rows_a_second(line, ours), rows_a_second(line, plain))
        for title, line in LINES.items()
        if line.case == name
    }
    if name not in CACHED:
        reached = ours.operations / (ours.seconds[-1] - ours.seconds[0])
        found[f"{name} GFLOP/s"] = pair(reached / GIGA, ours.machine_rate / GIGA)
    found[f"{name} MiB"] = pair(ours.peak_mib - ours.before_mib, plain.peak_mib - plain.before_mib)
    found[f"{name} MiB in all"] = pair(ours.peak_mib, plain.peak_mib)
    return found


def pair(ours: float, plain: float) -> dict[str, float]:
    """Return both numbers and their ratio."""
    return {"ours": round(ours, 2), "plain": round(plain, 2), "ratio": round(ours / plain, 3)}


def rows_a_second(line: Line, side: Run) -> float:
    """Return the rows a second over the steps that a line counts."""
    first = {"beginning": 0, "second step": 1, "second epoch": (*side.epochs, 1).index(1)}[line.since]
    start = side.seconds[first - 1] if first else 0.0
    return sum(side.rows[first:]) / (side.seconds[-1] - start)


def show(results: Mapping[str, Mapping[str, float]], options: argparse.Namespace) -> None:
    """Print the table."""
    shape = f"{LAYERS} layers of width {options.width}" if options.shape == SMALL else options.shape
    model = f"{shape}, {options.threads} threads, {options.clock} time{', compiled' if options.compile else ''}"
    table = Table(title=f"rows a second, MiB that training adds at its peak, GFLOP/s against the machine's; {model}")
    for heading in ("case", "ours", "plain", "ratio", "bar"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for name, found in results.items():
        line = LINES.get(name)
        bar = f">= {line.bar:g}" if line else BARS.get(name.partition(" ")[2], "")
        title = f"{name}: {line.what}" if line else name
        table.add_row(title, f"{found['ours']:.1f}", f"{found['plain']:.1f}", f"{found['ratio']:.2f}", bar)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
