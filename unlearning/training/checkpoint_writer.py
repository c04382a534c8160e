"""Writes checkpoints while training goes on, as seldom as it takes to cost little time."""

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from unlearning.training import random_state
from unlearning.training.callbacks import StopRequest
from unlearning.training.checkpoint import Snapshot, take_snapshot
from unlearning.training.history import TrainingHistory
from unlearning.training.module import UnlearningModule

SHARE_OF_TIME = 0.015
"""Share of the training time that copies and writes may take. Steps beside them are a quarter slower again than that
(benchmarks/README.md), so that checkpoints cost about 2% of the time."""


class BackgroundSaver:
    """Writes one snapshot at a time in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place: dict[str, Tensor] = {}
        """The memory that every snapshot is copied into, once the one before has been written."""
        self.cpu_seconds = 0.0
        """Seconds of a core that the last write took. The disk's own time costs training nothing."""
        self.thread: Thread | None = None
        self.error: Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether a snapshot is being written."""
        return self.thread is not None and self.thread.is_alive()

    def start(self, snapshot: Snapshot) -> None:
        """Begin to write."""
        self.thread = Thread(target=self._write, args=(snapshot,), name="checkpoint")
        self.thread.start()

    def wait(self) -> None:
        """Return when nothing is being written any more. Raises what the last write failed with: NotWrittenError."""
        if self.thread is not None:
            self.thread.join()
        self.raise_error()

    def raise_error(self) -> None:
        """Raise, once, what a write has failed with: else training would go on without checkpoints."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    def _write(self, snapshot: Snapshot) -> None:
        start = time.thread_time()
        try:
            snapshot.write(self.folder)
        except Exception as error:
            self.error = error
        self.cpu_seconds = time.thread_time() - start


class CheckpointWriter(pl.Callback):
    """Writes a checkpoint every so many seconds, and when a stop was asked for.

    The step after a checkpoint waits until the state is copied, and goes on while the copy is written. A copy and its
    write cost some seconds of a core; the next checkpoint comes when these are 1.5% of the time since. With
    `every_seconds=0` there is a checkpoint after each step, and the next step waits for the disk.

    It comes after all other callbacks, because a checkpoint says that their work for the step is done.
    """

    def __init__(self, folder: Path, every_seconds: float, request: StopRequest, history: TrainingHistory) -> None:
        self.every_seconds, self.request, self.history = every_seconds, request, history
        self.saver = BackgroundSaver(folder)
        self.saved = time.monotonic()
        self.copy_seconds = 0.0

    @property
    def interval(self) -> float:
        """Seconds from the last checkpoint to the next one."""
        return max(self.every_seconds, (self.copy_seconds + self.saver.cpu_seconds) / SHARE_OF_TIME)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Save where it is time, stop where one device was asked to: on all devices after the same step."""
        assert isinstance(pl_module, UnlearningModule)
        any_of = trainer.strategy.reduce_boolean_decision
        self.saver.raise_error()
        self.request.asked = any_of(self.request.asked, all=False)
        if self.request.asked or self.every_seconds == 0:
            self.saver.wait()
            self._save(trainer, pl_module, None)
            self.saver.wait()
        elif any_of(self._is_due(), all=True):
            self._save(trainer, pl_module, self.saver.place)
        if self.request.asked:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Wait for the disk."""
        self.saver.wait()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Let a write that has begun end, so that the newest checkpoint is there when the run is taken up."""
        if self.saver.thread is not None:
            self.saver.thread.join()

    def _is_due(self) -> bool:
        return not self.saver.busy and time.monotonic() - self.saved >= self.interval

    def _save(self, trainer: pl.Trainer, module: UnlearningModule, place: dict[str, Tensor] | None) -> None:
        assert module.last_record is not None
        start = time.monotonic()
        progress = self.history.progress(module.last_record.step + 1, module.objective.state())
        random = random_state.collect()
        snapshot = take_snapshot(module.model, trainer.optimizers[0], progress, random, place)
        self.saved = time.monotonic()
        self.copy_seconds = self.saved - start
        if snapshot is not None:
            self.saver.start(snapshot)
