"""A training run whose processes are killed again and again, for `test_kill`.

    python -m tests.training.killed FOLDER SEED KILLS

trains `resumable.LONG` in FOLDER/whole without interruption, and in FOLDER/cut in processes that SIGKILL ends at random
moments, until that has happened KILLS times; the one after them finishes. Each attempt is a fork of a process that has
imported everything and trained nothing, so that it starts at once. It prints one JSON object.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import peft  # noqa: F401  (training imports it late, and each attempt would take half a second for it)
import torch
from safetensors.torch import save_file

from tests.training.resumable import LONG, TRAINER
from unlearning import artefacts
from unlearning.config.trainer import TrainerConfig

IN_BACKGROUND = replace(TRAINER, checkpoint_every_seconds=1e-3)
"""Writes checkpoints while training goes on, as often as their cost allows."""


def forked(work: Callable[[], object]) -> int:
    """Start a process that does the work and nothing else, and return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        work()
        code = 0
    finally:
        os._exit(code)
    raise AssertionError("unreachable")


def train(folder: Path, trainer: TrainerConfig) -> None:
    """Train to the end, then write the weights beside the folder."""
    model, record = LONG.run(folder, trainer)
    result = {"steps": record.steps, "best_step": record.best_step, "stopped": record.stopped}
    save_file(
        {name: weight.clone() for name, weight in model.state_dict().items()},
        folder.with_suffix(".safetensors"),
        {"result": json.dumps(result)},
    )


def train_until_a_write(folder: Path, trainer: TrainerConfig, number: int) -> None:
    """Train until SIGKILL comes in the middle of an atomic write: all bytes are there, but not under the final name."""
    written = 0
    original = os.fsync

    def fsync(handle: int) -> None:
        nonlocal written
        original(handle)
        written += 1
        if written == number:
            os.kill(os.getpid(), signal.SIGKILL)

    artefacts.os.fsync = fsync
    train(folder, trainer)


def lines(folder: Path) -> int:
    """Return the number of lines of the curve so far, its header included."""
    path = folder / "loss_curve.csv"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed_once(folder: Path, rng: random.Random) -> bool:
    """Start an attempt and kill it: while it writes, or a few lines later plus a random part of a step.

    Returns whether it was killed; else it has finished.
    """
    trainer = rng.choice((TRAINER, IN_BACKGROUND))
    if rng.random() < 0.4:
        number = rng.randint(1, 10)
        child = forked(lambda: train_until_a_write(folder, trainer, number))
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    wanted, later = lines(folder) + rng.randint(0, 5), rng.random() * 0.01
    child = forked(lambda: train(folder, trainer))
    while lines(folder) < wanted:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    time.sleep(later)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def main() -> None:
    """Train once without interruption and once with kills; see the file's docstring."""
    folder, seed, wanted = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    rng = random.Random(seed)
    LONG.task()  # imports the model's own code
    codes = [os.waitpid(forked(lambda: train(folder / "whole", TRAINER)), 0)[1]]
    kills, lengths = 0, []
    while kills < wanted and not (folder / "cut.safetensors").exists():
        kills += killed_once(folder / "cut", rng)
        lengths.append(lines(folder / "cut"))
    codes.append(os.waitpid(forked(lambda: train(folder / "cut", TRAINER)), 0)[1])
    print(json.dumps({"kills": kills, "codes": codes, "lengths": lengths}))


if __name__ == "__main__":
    main()
