"""The training run that `benchmarks.checkpoints` watches and kills: all weights of SmolLM2's shape, on random rows."""

import random
import time
from pathlib import Path
from typing import Any, TypedDict

import torch

from benchmarks.step_runs import Clock
from unlearning.config.model import ModelConfig
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.models.load import load_model
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.mixed import MixedSchedule
from unlearning.scopes.layers import AllScope
from unlearning.training import checkpoint_writer, fit
from unlearning.training.checkpoint import Snapshot
from unlearning.training.checkpoint_writer import BackgroundSaver, CheckpointWriter
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingTask

VOCABULARY, ROWS, ROW_TOKENS, BATCH_ROWS = 49152, 64, 24, 2
EVERY_SECONDS = {"measured": TrainerConfig.checkpoint_every_seconds, "waiting": 0.0, "background": 1e-3}
"""Seconds between checkpoints: as in every command; after each step, which waits for the disk; and while the next steps
are made, as often as the disk allows."""


class Record(TypedDict):
    """Moments of a run, as `time.time` gives them, and what its checkpoints cost."""

    begin: float
    steps: list[float]
    """End of each step."""
    copies: list[tuple[float, float]]
    """Begin and end of each copy of the state, for which the next step waits."""
    writes: list[tuple[float, float]]
    """Begin and end of each write of a copy."""
    cost_seconds: float
    """What all checkpoints cost by the product's own count: copies, and the seconds of a core for the writes."""


RECORD = Record(begin=0.0, steps=[], copies=[], writes=[], cost_seconds=0.0)


class TimedWriter(CheckpointWriter):
    """Notes when the state is copied."""

    def _save(self, *arguments: Any) -> None:
        start = time.time()
        super()._save(*arguments)
        RECORD["copies"].append((start, time.time()))
        RECORD["cost_seconds"] += self.copy_seconds


class TimedSaver(BackgroundSaver):
    """Notes when a copy is written."""

    def _write(self, snapshot: Snapshot) -> None:
        start = time.time()
        super()._write(snapshot)
        RECORD["writes"].append((start, time.time()))
        RECORD["cost_seconds"] += self.cpu_seconds


def train(folder: Path, model_folder: Path, steps: int, mode: str) -> Record:
    """Train in a folder, or go on training there, and return the moments."""
    fit.CheckpointWriter, checkpoint_writer.BackgroundSaver = TimedWriter, TimedSaver  # type: ignore[attr-defined,misc]
    if mode == "background":
        checkpoint_writer.SHARE_OF_TIME = 1e9
    folder.mkdir(exist_ok=True)
    model = load_model(str(model_folder), ModelConfig(name="smollm2", path=str(model_folder)), torch.float32)
    forget, retain = random_rows(0), random_rows(1)
    lengths = [ROW_TOKENS] * ROWS
    plan = MixedSchedule(steps, BATCH_ROWS).plan(lengths, lengths, None, 0)[:steps]
    rows = TrainingRows(forget=forget, refusals=(), retain=retain)
    optimizer, objective = OptimizerConfig(lr=1e-5), GradDiff(retain_weight=0.5)
    task = TrainingTask(AllScope().apply(model, None), objective, plan, rows, 0, optimizer, 0, "checkpoints")
    clock = Clock(time.time)
    RECORD["begin"] = time.time()
    fit.fit(task, TrainerConfig(accelerator="cpu", checkpoint_every_seconds=EVERY_SECONDS[mode]), folder, [clock])
    RECORD["steps"] = clock.times
    return RECORD


def random_rows(seed: int) -> list[EncodedRow]:
    """Return rows of random tokens, whose second half has a loss. All are of one length, so all steps are alike."""
    rng = random.Random(seed)
    tokens = [tuple(rng.randrange(VOCABULARY) for _ in range(ROW_TOKENS)) for _ in range(ROWS)]
    return [EncodedRow(row, ROW_TOKENS // 2) for row in tokens]
