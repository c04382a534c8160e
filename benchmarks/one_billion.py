"""Whole runs on a model of a billion weights, on this CPU: `python -m benchmarks.one_billion FOLDER`.

The model has OLMo-1B's shape and random weights in float32 (5.1 GB), with OLMo's tokenizer and a dozen official rows
($UNLEARNING_DATA). Each method's `unlearn` makes three steps, is killed (SIGKILL) after its first checkpoint and
started again; it scores, merges and saves. Then plain Transformers loads what was saved. A process watches the memory
of each stage. FOLDER takes up to 24 GB, and the machine needs 20 GB of memory.
"""

import argparse
import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.memory_watch import STAGE, Watched, start, watch
from benchmarks.shapes import write_random_model
from unlearning.training.callbacks import LOSS_CURVE
from unlearning.training.checkpoint import CHECKPOINT

GIB = 2**30
STEPS = 3
MODEL = "olmo_1b"
METHODS = {
    "layer_freeze_mlp_0_5": ["schedule.batch_rows=8"],
    "chunked_lora": ["schedule.batch_rows=8"],
    "chunked_last_k": ["schedule.batch_rows=8"],
}
FEW_ROWS = [
    "data=semeval25",
    "data.max_documents_per_task=1",
    "data.members=null",
    "data.nonmembers=null",
    "data.mmlu=null",
    "evaluation.max_new_tokens=8",
    "evaluation.references=false",
]
SETTINGS = [
    "model=local",
    "logger=none",
    "trainer=cpu",
    f"trainer.max_steps={STEPS}",
    # The first checkpoint comes after the first step, and is written while the second one is made.
    "trainer.checkpoint_every_seconds=1",
]
KILLED = ", killed after a checkpoint"
AGAIN = ", started again"


def main() -> None:
    """Run the methods, print the tables, and a last line of JSON: peak and planned GiB of training, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder.resolve()
    if given.load:
        load_plainly(folder / MODEL, given.load)
        return
    write_model(folder / MODEL)
    results = {}
    for method in given.methods:
        seen = run(method, folder)
        show(method, seen)
        results[method] = against_plan(seen)
        shutil.rmtree(folder / method)
    print(json.dumps(results))


def write_model(folder: Path) -> None:
    """Write weights and tokenizer, once."""
    write_random_model(MODEL, folder, torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(Path(os.environ["UNLEARNING_DATA"]) / "tokenizers" / "olmo-0724")
    tokenizer.save_pretrained(folder)


def run(method: str, folder: Path) -> Watched:
    """Run a method with a kill after its first checkpoint. Returns the peaks of all stages, and what the plan said."""
    run_dir, cache = folder / method, folder / "cache"
    for path in (run_dir, cache):
        shutil.rmtree(path, ignore_errors=True)
    words = [*SETTINGS, *FEW_ROWS, *METHODS[method], f"method={method}", f"model.path={folder / MODEL}"]
    words += [f"cache_dir={cache}"]
    plan = watch([start(command("plan", words))])
    words += [f"hydra.run.dir={run_dir}"]
    killed = watch([start(command("unlearn", words))], until=lambda: any((run_dir / CHECKPOINT).glob("*.safetensors")))
    done = steps_in(run_dir)
    again = watch([start(command("unlearn", words))])
    print(f"{method}: killed after {done} steps, ended with {steps_in(run_dir)} in its curve")
    if done >= STEPS or steps_in(run_dir) != STEPS:
        raise SystemExit(again.output)
    module = [sys.executable, "-m", "benchmarks.one_billion", str(folder), "--load", str(run_dir / "model")]
    loaded = watch([start(module)])
    print(f"{method}: {loaded.output.splitlines()[-1]}", flush=True)
    found = Watched(plan.output)
    for seen, when in ((killed, KILLED), (again, AGAIN), (loaded, "")):
        found.peaks |= {f"{name}{when}": memory for name, memory in seen.peaks.items() if name}
        found.seconds |= {f"{name}{when}": seconds for name, seconds in seen.seconds.items() if name}
    return found


def command(name: str, words: Sequence[str]) -> list[str]:
    """Return a command's program and words."""
    code = f"import sys; from unlearning.cli import {name}; sys.argv[0] = '{name}'; {name}()"
    return [sys.executable, "-c", code, *words]


def steps_in(run_dir: Path) -> int:
    """Return the number of steps in a run's curve."""
    with (run_dir / LOSS_CURVE).open() as handle:
        return len(list(csv.DictReader(handle)))


def load_plainly(before: Path, after: Path) -> None:
    """Load what was saved as any user of Transformers does, run it, and say how many tensors are other ones."""
    print(f"{STAGE}load what was saved with plain Transformers", flush=True)
    model = AutoModelForCausalLM.from_pretrained(after, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(after)("Where does Ada Brook live?", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    if not bool(torch.isfinite(logits).all()):
        raise SystemExit("its logits are not finite")
    old = AutoModelForCausalLM.from_pretrained(before, dtype=torch.float32).state_dict()
    changed = [name for name, weight in model.state_dict().items() if not torch.equal(weight, old[name])]
    print(f"{len(changed)} of {len(old)} tensors changed, such as {changed[0]} and {changed[-1]}")


def against_plan(seen: Watched) -> dict[str, float]:
    """Return the peak of training and the plan's number, in GiB, and their ratio."""
    planned = re.search(r"memory +([\d.]+) GiB to train", seen.output)
    assert planned is not None
    peak, plan = seen.peaks[f"unlearn{AGAIN}"].resident / GIB, float(planned[1])
    return {"ours": round(peak, 2), "plain": plan, "ratio": round(peak / plan, 3)}


def show(method: str, seen: Watched) -> None:
    """Print a method's table."""
    print("\n".join(line for line in seen.output.splitlines() if line.strip().startswith("memory")))
    table = Table("stage", "seconds", "resident GiB", "held GiB", title=method)
    for name, peak in seen.peaks.items():
        table.add_row(name, *(f"{number:.1f}" for number in (seen.seconds[name], peak.resident / GIB, peak.held / GIB)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
