"""Peak memory of loading, merging and saving against the size of the weights: `python -m benchmarks.loading FOLDER`.

The model has OLMo-1B's shape and random weights, which are written into FOLDER once (7.7 GB). Each case runs in
processes of its own, which another one watches. Their imports come first and do not count; everything else does, also
the model in a case that does not measure its loading.
"""

import argparse
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PreTrainedModel

from benchmarks.memory_watch import STAGE, start, watch
from benchmarks.shapes import write_random_model
from unlearning.config.evaluation import Precision
from unlearning.config.model import ModelConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.evaluation.precision import weights_in
from unlearning.models.load import load_model, load_tokenizer, save_model
from unlearning.models.row_self_test import self_test
from unlearning.models.weights_hash import weights_hash
from unlearning.runs.folder import merged
from unlearning.scopes.adapters import LoraScope
from unlearning.training.one_copy import HASH, loading_device
from unlearning.training.sharding import Shards

GIB = 2**30
STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16}
IMPORTED, LOADED, MEASURED = "imported", "loaded", "measured"
FSDP = TrainerConfig(accelerator="cpu", strategy="fsdp", devices="2")
BAR = 1.15
PAUSE_SECONDS = 1.5


Action = Callable[[PreTrainedModel, Path], object]


@dataclass(frozen=True)
class Case:
    """What is measured."""

    what: str
    action: Action | None = None
    """What is done with the loaded model while memory is watched; None: loading is what is watched."""
    stored: str = "float32"
    """Type of the weights in the file."""
    dtype: torch.dtype = torch.float32
    """Type that they are loaded in."""
    processes: int = 1

    def run(self, folder: Path) -> None:
        """Do it, and name the stages."""
        say(IMPORTED)
        say(LOADED if self.action else MEASURED)
        path = str(folder / self.stored)
        model = load_model(path, ModelConfig(name="olmo_1b", path=path), self.dtype, device=loading_device(FSDP))
        read(model)
        if self.action:
            say(MEASURED)
            self.action(model, folder)
        time.sleep(PAUSE_SECONDS)


def say(stage: str) -> None:
    """Announce a stage, and wait until the memory before it has been seen."""
    time.sleep(PAUSE_SECONDS)
    print(f"{STAGE}{stage}", flush=True)


def read(model: nn.Module) -> None:
    """Read every weight: those that are pages of files are not in memory before."""
    for parameter in model.parameters():
        if not parameter.is_meta:
            parameter.detach().amax()


def merge(model: PreTrainedModel, folder: Path) -> None:  # noqa: ARG001
    """Attach adapters to all layers and merge them."""
    merged(LoraScope(targets=["q", "k", "v", "o", "gate", "up", "down"]).apply(model, None))


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write the model as every command does."""
    tokenizer = load_tokenizer(os.environ["UNLEARNING_DATA"] + "/tokenizers/olmo-0724", ModelConfig(name="olmo_1b"))
    save_model(model, tokenizer, folder / "saved")


def test_and_hash(model: PreTrainedModel, folder: Path) -> None:  # noqa: ARG001
    """Do what follows loading in every command."""
    self_test(model, False)
    weights_hash(model)


def in_bfloat16(model: PreTrainedModel, folder: Path) -> None:  # noqa: ARG001
    """Do what precedes an evaluation in the official precision."""
    with weights_in(Precision.official, model):
        self_test(model, False)


def shard(model: PreTrainedModel, folder: Path) -> None:  # noqa: ARG001
    """Shard over two processes."""
    torch.distributed.init_process_group("gloo")
    Shards(model).spread(init_device_mesh("cpu", (2,)), MixedPrecisionPolicy(), torch.device("cpu"))


BFLOAT16 = torch.bfloat16
CASES = {
    "load": Case("load float32 weights"),
    "load_bfloat16": Case("load bfloat16 weights", stored="bfloat16", dtype=BFLOAT16),
    "load_cast": Case("load bfloat16 weights as float32", stored="bfloat16"),
    "test_and_hash": Case("test rows, hash weights", test_and_hash),
    "merge": Case("merge adapters on all modules", merge),
    "save": Case("save", save),
    "in_bfloat16": Case("float32 weights, scored in bfloat16", in_bfloat16),
    "load_twice": Case("load float32 weights in two processes (ddp)", processes=2),
    "shard": Case("shard float32 weights over two processes (fsdp)", shard, processes=2),
    "shard_cast": Case("the same, bfloat16 in the file", shard, stored="bfloat16", processes=2),
}


def main() -> None:
    """Measure, print the table, and a last line of JSON: peak and weights in GiB, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        CASES[given.cases[0]].run(given.folder)
        return
    for name, dtype in STORED.items():
        write_random_model("olmo_1b", given.folder / name, dtype, given.layers)
    results: dict[str, dict[str, float]] = {}
    for name in given.cases:
        results |= measured(name, given.folder)
        shutil.rmtree(given.folder / "saved", ignore_errors=True)
        print(name, results[name], results[f"{name}, held"], flush=True)
    show(results)
    print(json.dumps(results))


def measured(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Run a case in its processes and return its line: what they held together, and what was resident."""
    case = CASES[name]
    words = [sys.executable, "-m", "benchmarks.loading", str(folder), "--cases", name, "--side"]
    processes = [start(words, **environment) for environment in environments(name, case.processes)]
    seen = watch(processes)
    before, peak = seen.peaks[IMPORTED], seen.peaks[MEASURED]
    weights = sum(
        path.stat().st_size for path in (folder / str(case.dtype).removeprefix("torch.")).glob("*.safetensors")
    )
    return {
        name: line(peak.resident - before.resident, weights),
        f"{name}, held": line(peak.held - before.held, weights),
    }


def environments(name: str, processes: int) -> list[dict[str, str]]:
    """Return what tells each process which one it is."""
    if processes == 1:
        return [{}]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1]), "WORLD_SIZE": "2"}
    # As where the first one started the other for training.
    told = {HASH: "0"} if name.startswith("shard") else {}
    return [{**address, **told, "LOCAL_RANK": str(rank), "RANK": str(rank)} for rank in range(processes)]


def line(peak: int, weights: int) -> dict[str, float]:
    """Return both in GiB and their ratio."""
    return {"ours": round(peak / GIB, 2), "plain": round(weights / GIB, 2), "ratio": round(peak / weights, 3)}


def show(results: Mapping[str, Mapping[str, float]]) -> None:
    """Print the table."""
    table = Table("what", "weights GiB", "peak GiB", "ratio", "held GiB", "ratio", title=f"bar of loading: {BAR:g}")
    for name, case in CASES.items():
        if name in results:
            found, held = results[name], results[f"{name}, held"]
            numbers = (found["plain"], found["ours"], found["ratio"], held["ours"], held["ratio"])
            table.add_row(case.what, *(f"{number:.2f}" for number in numbers))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
