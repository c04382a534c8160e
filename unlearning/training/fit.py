"""Runs a plan on the configured hardware, and goes on where an earlier attempt stopped."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.utils.data import DataLoader

from unlearning.config import OptimizerConfig, TrainerConfig
from unlearning.data.encoding import EncodedRow
from unlearning.data.schedules import PlanStep
from unlearning.data.steps import MicroBatch, StepData, StepDataset, StepLayout
from unlearning.errors import Interrupted
from unlearning.objectives.base import Objective
from unlearning.training.callbacks import CheckpointWriter, CurveWriter, StopRequest, graceful_stop
from unlearning.training.checkpoint import Progress, load_checkpoint
from unlearning.training.module import UnlearningModule


@dataclass(frozen=True)
class TrainingTask:
    """What is trained on what."""

    model: nn.Module
    objective: Objective
    plan: Sequence[PlanStep]
    forget: Sequence[EncodedRow]
    retain: Sequence[EncodedRow]
    pad: int
    optimizer: OptimizerConfig
    seed: int
    identity: str
    """Hash of everything above; see `Progress.identity`."""


@dataclass(frozen=True)
class TrainingRecord:
    """What training took."""

    seconds: float
    steps: int
    tokens: int
    rows: int


class PlanDataModule(pl.LightningDataModule):
    """The remaining steps of a task, each device its share."""

    def __init__(self, task: TrainingTask, layout: StepLayout, plan: Sequence[PlanStep], start: int) -> None:
        super().__init__()
        self.task, self.layout, self.plan, self.start = task, layout, plan, start

    def train_dataloader(self) -> DataLoader[StepData]:
        """One item a step; the plan is already in batches and in order."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        task = self.task
        dataset = StepDataset(self.plan, task.forget, task.retain, self.layout, self.start, rank, world)
        return DataLoader(dataset, batch_size=None, num_workers=0)

    def transfer_batch_to_device(self, batch: StepData, device: torch.device, dataloader_idx: int) -> StepData:  # noqa: ARG002
        """Move a step's tensors."""

        def moved(part: MicroBatch) -> MicroBatch:
            return MicroBatch(part.packs.to(device), part.is_forget.to(device), part.row_tokens.to(device))

        fields = dict(vars(batch))
        fields["retain_first"] = tuple(map(moved, batch.retain_first))
        fields["rest"] = tuple(map(moved, batch.rest))
        return StepData(**fields)


def fit(task: TrainingTask, config: TrainerConfig, run_dir: Path, logger: Sequence[Logger]) -> TrainingRecord:
    """Train to the end of the plan, from the run folder's checkpoint where there is one.

    Raises Interrupted after Ctrl-C or SIGTERM, with a checkpoint written; InputError where training diverges.
    """
    plan = task.plan[: config.max_steps]
    checkpoint = run_dir / "checkpoint.safetensors"
    module = UnlearningModule(task.model, task.objective, task.optimizer)
    pl.seed_everything(task.seed, workers=False, verbose=False)
    done = load_checkpoint(checkpoint, task.model, None, task.identity)
    done = done or Progress(0, task.objective.state(), 0.0, task.identity)
    task.objective.load_state(done.objective)
    seconds = done.seconds
    if done.next_step < len(plan):
        seconds = _run(task, config, run_dir, logger, module, plan, done)
    tokens = sum(len(task.forget[row].input_ids) for step in plan for row in step.forget if task.objective.uses_forget)
    tokens += sum(len(task.retain[row].input_ids) for step in plan for row in step.retain if task.objective.uses_retain)
    rows = sum(
        len(step.forget) * task.objective.uses_forget + len(step.retain) * task.objective.uses_retain for step in plan
    )
    return TrainingRecord(seconds=seconds, steps=len(plan), tokens=tokens, rows=rows)


class StepProgress(RichProgressBar):
    """Lightning's bar, without the epochs that a plan does not have."""

    def _get_train_description(self, current_epoch: int) -> str:  # noqa: ARG002
        return "  steps"


class _OptimizerRestorer(pl.Callback):
    """The optimiser exists only once Lightning has started, so its moments are put back then."""

    def __init__(self, checkpoint: Path, identity: str) -> None:
        self.checkpoint, self.identity = checkpoint, identity

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load parameters and moments."""
        assert isinstance(pl_module, UnlearningModule)
        load_checkpoint(self.checkpoint, pl_module.model, trainer.optimizers[0], self.identity)


def _run(
    task: TrainingTask,
    config: TrainerConfig,
    run_dir: Path,
    logger: Sequence[Logger],
    module: UnlearningModule,
    plan: Sequence[PlanStep],
    done: Progress,
) -> float:
    """Train the steps that remain; returns the seconds that all attempts took."""
    checkpoint = run_dir / "checkpoint.safetensors"
    layout = StepLayout(
        pack_tokens=config.pack_tokens,
        packs_per_forward=config.packs_per_forward,
        pad=task.pad,
        retain_first=task.objective.retain_first,
        uses_forget=task.objective.uses_forget,
        uses_retain=task.objective.uses_retain,
    )
    with graceful_stop() as request:
        writer = CheckpointWriter(checkpoint, config.checkpoint_every_seconds, request, task.identity, done.seconds)
        callbacks = [
            _OptimizerRestorer(checkpoint, task.identity),
            writer,
            CurveWriter(run_dir / "loss_curve.csv", done.next_step),
            StepProgress(leave=True),
        ]
        trainer = make_trainer(config, run_dir, logger, callbacks)
        task.model.train()
        trainer.fit(module, datamodule=PlanDataModule(task, layout, plan, done.next_step))
        task.model.eval()
        _raise_if_stopped(request, module, len(plan))
    return writer.seconds_before + writer.saved - writer.started


def _raise_if_stopped(request: StopRequest, module: UnlearningModule, steps: int) -> None:
    last = module.last_record
    if request.asked and (last is None or last.step + 1 < steps):
        raise Interrupted


def make_trainer(
    config: TrainerConfig, run_dir: Path, logger: Sequence[Logger], callbacks: list[pl.Callback]
) -> pl.Trainer:
    """Lightning's trainer for one pass over a plan."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__`.*")
    return pl.Trainer(
        accelerator=config.accelerator,
        strategy=config.strategy,
        devices=config.devices if config.devices == "auto" else int(config.devices),
        num_nodes=config.nodes,
        precision=resolve_precision(config),  # type: ignore[arg-type]
        max_epochs=1,
        logger=list(logger),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        default_root_dir=run_dir,
        use_distributed_sampler=False,
    )


def resolve_precision(config: TrainerConfig) -> str:
    """Lightning's name of the precision; "auto" is 32-true on a CPU and bf16-mixed on a GPU that knows bfloat16."""
    if config.precision != "auto":
        return config.precision
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def weights_dtype(config: TrainerConfig) -> torch.dtype:
    """What weights are loaded in: float32, except where training itself runs in pure bfloat16."""
    return torch.bfloat16 if resolve_precision(config) == "bf16-true" else torch.float32
