"""Plain fine-tuning for a few steps with the project's own training, and measurements of the model on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
from torch import nn

from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.errors import Interrupted
from unlearning.models.capabilities import capabilities
from unlearning.objectives.finetune import Finetune
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.callbacks import StepProgress, StopRequest, graceful_stop
from unlearning.training.data_module import PlanDataModule
from unlearning.training.module import UnlearningModule
from unlearning.training.row_model import RowModel, plain_model
from unlearning.training.row_tables import RowTables
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.trainer import make_trainer


@dataclass(frozen=True)
class FineTuning:
    """Training with cross-entropy and AdamW for a number of steps, on rows that are shuffled anew in each epoch."""

    rows: Sequence[EncodedRow]
    steps: int
    batch_rows: int
    optimizer: OptimizerConfig
    seed: int
    pad: int

    def run(
        self, model: nn.Module, trainer: TrainerConfig, measure_after: Sequence[int], measure: Callable[[int], None]
    ) -> None:
        """Train the parameters of `model` that require gradients, on one device.

        After each number of steps in `measure_after`, `measure` is called with this number, while the model is in
        evaluation mode. No checkpoint is written, since a few steps are quickly repeated.
        Raises InputError where a loss is not a number, Interrupted after Ctrl-C or SIGTERM.
        """
        an_epoch = -(-len(self.rows) // self.batch_rows)
        lengths = [len(row.input_ids) for row in self.rows]
        schedule = MixedSchedule(-(-self.steps // an_epoch), self.batch_rows)
        plan = schedule.plan([], lengths, None, self.seed)[: self.steps]
        alone = replace(trainer, strategy="auto", devices="1", nodes=1)
        objective = Finetune()
        layout = StepLayout(
            alone.pack_tokens,
            alone.packs_per_forward,
            self.pad,
            retain_first=False,
            uses_forget=False,
            uses_retain=True,
            shares_packs=capabilities(plain_model(model)).packs,
        )
        with graceful_stop() as request, TemporaryDirectory() as folder:
            callbacks = [StepProgress(self.steps), _MeasureDuringTraining(measure_after, measure, request)]
            runner = make_trainer(alone, Path(folder), [], callbacks)
            module = UnlearningModule(
                model,
                objective,
                self.optimizer,
                lambda: BatchLosses(RowModel(plain_model(model), None), objective, RowTables()),
            )
            model.train()
            runner.fit(module, datamodule=PlanDataModule(TrainingRows((), (), self.rows), layout, plan, 0))
            if request.asked:
                raise Interrupted


class _MeasureDuringTraining(pl.Callback):
    """Measures the model after chosen steps, in evaluation mode, and ends the training when that is requested."""

    def __init__(self, after: Sequence[int], measure: Callable[[int], None], request: StopRequest) -> None:
        self.after, self.measure, self.request = frozenset(after), measure, request

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Measure the model if this was one of the chosen steps; stop if the end was requested."""
        assert isinstance(pl_module, UnlearningModule)
        assert pl_module.last_record is not None
        done = pl_module.last_record.step + 1
        if self.request.asked:
            trainer.should_stop = True
        elif done in self.after:
            pl_module.model.eval()
            self.measure(done)
            pl_module.model.train()
