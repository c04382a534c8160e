"""Training runs on two CPU processes, and on one, in double precision, for `tests/test_distributed.py`."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from tests.tiny_models import tiny_model
from tests.training.resumable import ADAPTIVE, CASES, LAST_LAYER, MIXED, SIZES, Case
from unlearning.config.objective_choices import Averaging
from unlearning.config.scope import ModuleKind
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import Interrupted
from unlearning.objectives.grad_diff import GradDiff
from unlearning.objectives.npo import NPO
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import LayersScope
from unlearning.training.fit import fit
from unlearning.training.task import TrainingTask


def in_double(recomputing: bool = False) -> nn.Module:
    """Return a model in double precision, so that only the order of sums differs between one device and two."""
    model = tiny_model("olmo").double()
    if recomputing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


FIRST_MLP, LAYERS = LayersScope("0", [ModuleKind.mlp]), LayersScope("all", [ModuleKind.layer])
LORA = LoraScope(rank=2, alpha=4.0)
PARTS = MixedSchedule(2, 8, accumulate=4).plan(*SIZES, None, 0)
CHUNKS = ChunkedSchedule(2, 6, 4).plan(*SIZES, 2, 0)
WHOLE_BATCH = partial(GradDiff, retain_weight=0.5, averaging=Averaging.whole_batch)
# Both kinds of reference: the forget rows' nats, and all that the model says of retain rows.
KL = partial(NPO, divergence_weight=1.0)
STOPPED = "stopped, taken up"
CHECKS = StoppingConfig(check_every_steps=2, check_rows=5, keep_best=False)
RUNS = {
    "adaptive": Case(MIXED, ADAPTIVE, FIRST_MLP),
    "adaptive, in parts": Case(PARTS, ADAPTIVE),
    "chunked LoRA": Case(CHUNKS, WHOLE_BATCH, LORA),
    "references, checks": Case(MIXED, KL, stopping=CHECKS),
    "references, frozen head": Case(MIXED, KL, FIRST_MLP),
    "frozen first layer": Case(MIXED, KL, LAST_LAYER),
    "embeddings, frozen head": Case(MIXED, scope=LayersScope("1", embeddings=True)),
    "a layer's output": replace(CASES["a layer's output"], scope=LAYERS),
    "two answers": CASES["two answers"],
    "recomputing": Case(MIXED, model=partial(in_double, recomputing=True)),
    "best state": CASES["best state"],
    "moving ceiling": CASES["moving ceiling"],
    STOPPED: Case(PARTS, ADAPTIVE),
}
BY_DEFAULT = ("chunked LoRA", STOPPED)
"""The hardest cases: adapters with a fresh optimiser for each chunk, and a run in parts that a signal stops."""
BY_STRATEGY = {
    "ddp": [name for name in RUNS if name not in ("references, frozen head", "embeddings, frozen head")],
    "fsdp": [name for name in RUNS if name not in ("adaptive", "best state")],
}
"""What is left out is no different from another one there; a best state is refused with shards."""


def trainer_of(strategy: str) -> TrainerConfig:
    """Return a trainer with passes of one pack: some have rows of one role alone, and some no rows that count."""
    return TrainerConfig(
        accelerator="cpu",
        strategy=strategy,
        devices="1" if strategy == "auto" else "2",
        pack_tokens=32,
        packs_per_forward=1,
        prefix_cache_gib=0.0 if strategy == "fsdp" else 4.0,
        checkpoint_every_seconds=1e9,
    )


def run(name: str, strategy: str, folder: Path) -> None:
    """Train one case in folder/STRATEGY/CASE; write the weights beside it, one file for each process that has them."""
    case = RUNS[name]
    model = case.model if isinstance(case.model, partial) and case.model.func is in_double else in_double
    (folder / strategy / name).mkdir(parents=True, exist_ok=True)
    if name == STOPPED and strategy != "auto":
        _stop_after(3, replace(case, model=model, lr=1e-3).task(), strategy, folder / strategy / name)
    task = replace(case, model=model, lr=1e-3).task()
    if strategy == "fsdp" and os.environ["LOCAL_RANK"] != "0":
        task.model.to("meta")  # such a process loads no weights; it gets those of the main process
    fit(task, trainer_of(strategy), folder / strategy / name, [])
    weights = {key: weight.detach().clone() for key, weight in task.model.named_parameters()}
    if not any(weight.is_meta for weight in weights.values()):
        save_file(weights, folder / strategy / f"{name}.{os.environ.get('LOCAL_RANK', '0')}.safetensors")


def run_all(cases: Sequence[str], folder: Path) -> None:
    """Run these cases with each strategy, as one of two processes that the environment tells of each other."""
    torch.set_num_threads(1)
    for strategy, names in BY_STRATEGY.items():
        for name in (name for name in names if name in cases):
            print(strategy, name, flush=True)
            run(name, strategy, folder)


def _stop_after(steps: int, task: TrainingTask, strategy: str, folder: Path) -> None:
    """Train until the second device gets a SIGTERM in that step."""
    objective, seen = task.objective, 0
    observe = objective.observe

    def counting(*arguments: Any) -> None:
        nonlocal seen
        observe(*arguments)
        seen += 1
        if seen == steps and os.environ["LOCAL_RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)

    objective.observe = counting  # type: ignore[method-assign]
    try:
        fit(task, trainer_of(strategy), folder, [])
    except Interrupted:
        torch.distributed.barrier()  # what goes on from here would be new processes, after this one has been written
        return
    raise AssertionError("not stopped")
