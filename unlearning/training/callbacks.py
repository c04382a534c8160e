"""What happens after each step: a line of the loss curve, the progress bar, and a signal that asks for a stop."""

import csv
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from unlearning.artefacts import write_text
from unlearning.context import on_main_process
from unlearning.progress.shown import shown_progress
from unlearning.training.checkpoint import writing
from unlearning.training.module import UnlearningModule
from unlearning.training.step_record import StepRecord

LOSS_CURVE = "loss_curve.csv"
STEPS = "steps"
"""Name of the progress of training."""
COLUMNS = [field.name for field in fields(StepRecord)]


class StepProgress(pl.Callback):
    """Shows how many of the steps that remain are made."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._shown = ExitStack()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin."""
        self._advance = self._shown.enter_context(shown_progress(STEPS, self.steps))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Count one step more."""
        self._advance(1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """End."""
        self._shown.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """End too."""
        self._shown.close()


class CurveWriter(pl.Callback):
    """Writes loss_curve.csv, one line a step, each flushed at once, so that a kill loses no line."""

    def __init__(self, path: Path, first_step: int) -> None:
        self.path = path
        if on_main_process():
            _keep_steps_before(path, first_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Append the line of the step that was just made."""
        assert isinstance(pl_module, UnlearningModule)
        record = pl_module.last_record
        if record is not None and trainer.is_global_zero:
            with writing(self.path), self.path.open("a", newline="") as handle:
                csv.writer(handle, lineterminator="\n").writerow([getattr(record, name) for name in COLUMNS])


@dataclass
class StopRequest:
    """Whether a signal has asked for training to stop."""

    asked: bool = False


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """While open, let the running step finish at the first Ctrl-C or SIGTERM; interrupt at once at the second."""
    request = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True
        if on_main_process():
            Console(stderr=True).print("stopping after this step; once more to stop at once")

    if current_thread() is not main_thread():
        yield request
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, ask) for number in signals}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _keep_steps_before(path: Path, first_step: int) -> None:
    """Remove the lines of the steps from `first_step` on; they will be measured again."""
    lines = path.read_text().splitlines() if first_step and path.exists() else []
    whole = [line for line in lines[1:] if line.count(",") == len(COLUMNS) - 1 and line.split(",")[0].isdigit()]
    kept = [line for line in whole if int(line.split(",")[0]) < first_step]
    with writing(path):
        write_text(path, "\n".join([",".join(COLUMNS), *kept]) + "\n")
