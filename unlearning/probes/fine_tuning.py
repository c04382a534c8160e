"""Plain fine-tuning for a few steps, by the project's own training, with looks at the model on the way."""

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
    """Cross-entropy on rows shuffled anew each epoch, AdamW, for a number of steps."""

    rows: Sequence[EncodedRow]
    steps: int
    batch_rows: int
    optimizer: OptimizerConfig
    seed: int
    pad: int

    def run(
        self, model: nn.Module, trainer: TrainerConfig, look_after: Sequence[int], look: Callable[[int], None]
    ) -> None:
        """Train what of `model` may move, on one device; call `look` with the number of steps made after each of these.

        Nothing is written, for a few steps are quickly made again.
        Raises InputError where a loss is not a number, Interrupted after Ctrl-C or SIGTERM.
        """
        an_epoch = -(-len(self.rows) // self.batch_rows)
        lengths = [len(row.input_ids) for row in self.rows]
        schedule = MixedSchedule(-(-self.steps // an_epoch), self.batch_rows)
        plan = schedule.plan([], lengths, None, self.seed)[: self.steps]
        alone = replace(trainer, strategy="auto", devices="1", nodes=1)
        objective = Finetune()
        layout = StepLayout(alone.pack_tokens, alone.packs_per_forward, self.pad, False, False, True)
        with graceful_stop() as request, TemporaryDirectory() as folder:
            callbacks = [StepProgress(leave=False), _Looks(look_after, look, request)]
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


class _Looks(pl.Callback):
    """Looks after chosen steps, in evaluation mode; ends training where that was asked for."""

    def __init__(self, after: Sequence[int], look: Callable[[int], None], request: StopRequest) -> None:
        self.after, self.look, self.request = frozenset(after), look, request

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """The step that was just made."""
        assert isinstance(pl_module, UnlearningModule)
        assert pl_module.last_record is not None
        done = pl_module.last_record.step + 1
        if self.request.asked:
            trainer.should_stop = True
        elif done in self.after:
            pl_module.model.eval()
            self.look(done)
            pl_module.model.train()
