"""Runs a plan on the configured hardware, and goes on where an earlier attempt stopped."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from rich.console import Console
from torch import nn

from unlearning.config.trainer import TrainerConfig
from unlearning.context import on_main_process
from unlearning.errors import InputError, Interrupted
from unlearning.models.capabilities import capabilities
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_losses import BatchLosses
from unlearning.training.best_weights import BEST, restore_best
from unlearning.training.build_tables import build_tables
from unlearning.training.callbacks import (
    LOSS_CURVE,
    CurveWriter,
    StepProgress,
    StopRequest,
    graceful_stop,
)
from unlearning.training.checker import Checker, rows_to_check
from unlearning.training.checkpoint import (
    CHECKPOINT,
    NotWrittenError,
    Progress,
    read_progress,
    restore,
    save_checkpoint,
)
from unlearning.training.checkpoint_files import remove_half_checkpoints, remove_partial_files
from unlearning.training.checkpoint_writer import CheckpointWriter
from unlearning.training.data_module import PlanDataModule
from unlearning.training.disk_space import keeps_best, require_disk_space
from unlearning.training.early_stopping import CHECKS, EarlyStopping
from unlearning.training.history import TrainingHistory
from unlearning.training.module import UnlearningModule
from unlearning.training.moving_ceiling import MovingCeiling
from unlearning.training.noised_start import noise_weights
from unlearning.training.row_model import RowModel, plain_model
from unlearning.training.step_layout import layout_of
from unlearning.training.stopping_rules import best_check
from unlearning.training.task import TrainingRecord, TrainingTask, record_of
from unlearning.training.trainer import make_trainer


def fit(task: TrainingTask, config: TrainerConfig, run_dir: Path, logger: Sequence[Logger]) -> TrainingRecord:
    """Train to the end of the plan, or as long as `task.stopping` allows, from the run folder's checkpoint if any.

    Raises Interrupted after Ctrl-C or SIGTERM, when a checkpoint has been written; InputError where training fails and
    there are no best weights to go back to, or where the disk is full.
    """
    plan = task.plan[: config.max_steps]
    pl.seed_everything(task.seed, workers=False, verbose=False)
    if on_main_process():
        remove_partial_files(run_dir, (BEST, CHECKS, LOSS_CURVE))
        remove_half_checkpoints(run_dir / CHECKPOINT, task.identity)
    done = read_progress(run_dir / CHECKPOINT, task.identity)
    done = done or Progress(0, task.objective.state(), 0.0, task.identity)
    task.objective.load_state(done.objective)
    with graceful_stop() as request:
        if done.next_step < len(plan) and done.stopped is None:
            if on_main_process():
                require_disk_space(run_dir, task.model, keeps_best(task.stopping))
            done = _run(task, config, run_dir, logger, plan, done, request)
        elif done.next_step:
            restore(run_dir / CHECKPOINT, task.identity, task.model, None)
        if not done.finished and on_main_process():
            done = _finish(task, run_dir, done)
    if request.asked:  # in the last step, or later: what follows training must not begin
        raise Interrupted
    return record_of(task, plan[: done.next_step], done)


def _finish(task: TrainingTask, run_dir: Path, done: Progress) -> Progress:
    """Go back to the best weights where they are wanted, and save the result, in case the evaluation is killed."""
    best = None
    if task.stopping.keep_best and best_check(done.checks, task.stopping) is not None:
        best = restore_best(run_dir / BEST, task.model, task.identity)
    done = replace(done, finished=True, best_step=None if best is None else best.step)
    save_checkpoint(run_dir / CHECKPOINT, task.model, None, done, random={})
    (run_dir / BEST).unlink(missing_ok=True)
    return done


def _run(
    task: TrainingTask,
    config: TrainerConfig,
    run_dir: Path,
    logger: Sequence[Logger],
    plan: Sequence[PlanStep],
    done: Progress,
    request: StopRequest,
) -> Progress:
    """Train the steps that remain, or as many of them as `task.stopping` allows.

    Raises Interrupted where steps remain that `request` left out.
    """
    checked = None
    if task.stopping.check_every_steps is not None:
        checked = rows_to_check(len(task.rows.forget), len(task.rows.retain), task.stopping)
    model = plain_model(task.model)
    packs, apart = capabilities(model).packs, task.sam_radius > 0
    layout = layout_of(model, task.objective, task.rows, task.pad, config, plan, packs, apart)
    checker = Checker(checked, task.rows, task.own_answers, layout, task.stopping) if checked else None
    history = TrainingHistory(task.identity, list(done.checks), done.seconds)
    ceiling = MovingCeiling(task.compared, layout, task.stopping) if task.compared else None
    stopping = EarlyStopping(task.stopping, checker, plan, history, run_dir, ceiling)
    # The checkpoint comes last, because it says that the other callbacks' work for the step is done.
    curve = CurveWriter(run_dir / LOSS_CURVE, done.next_step)
    writer = CheckpointWriter(run_dir / CHECKPOINT, config.checkpoint_every_seconds, request, history)
    trainer = make_trainer(config, run_dir, logger, [StepProgress(len(plan) - done.next_step), curve, stopping, writer])

    def prepare() -> BatchLosses:
        """Build the tables with the weights at the start; then add noise, or load an earlier attempt's weights."""
        model = RowModel(plain_model(task.model), task.objective.layer)
        used = [*plan, checked] if checked else plan
        tables = build_tables(model, task.objective, used, task.rows, layout, config.reference_gib, _say)
        if done.next_step:
            restore(run_dir / CHECKPOINT, task.identity, task.model, trainer.optimizers[0])
        elif task.noised_start.share > 0:
            noise_weights(task.model, task.noised_start.share, task.noised_start.scale, task.seed)
        return BatchLosses(model, task.objective, tables)

    module = UnlearningModule(task.model, task.objective, task.optimizer, prepare, task.sam_radius)
    task.model.train()
    _train(trainer, module, PlanDataModule(task.rows, layout, plan, done.next_step), stopping)
    task.model.eval()
    _give_back(trainer, task.model, writer)
    _raise_if_stopped(request, module, len(plan))
    steps = module.last_record.step + 1 if module.last_record else done.next_step
    return history.progress(steps, task.objective.state())


def _train(trainer: pl.Trainer, module: UnlearningModule, data: PlanDataModule, stopping: EarlyStopping) -> None:
    """Train until the plan or `stopping` ends it.

    Raises InputError where a step fails and there are no best weights.
    """
    try:
        trainer.fit(module, datamodule=data)
    except NotWrittenError:
        raise
    except InputError as error:
        if module.losses is None:  # no step was made: the reference or the checkpoint was refused
            raise
        stopping.fall_back_to_best(error)


def _give_back(trainer: pl.Trainer, model: nn.Module, writer: CheckpointWriter) -> None:
    """Free gradients, moments and the copy for checkpoints: what comes next is scoring, and the trainer lives on."""
    model.zero_grad(set_to_none=True)
    for optimizer in trainer.optimizers:
        optimizer.state.clear()
    writer.saver.place.clear()


def _say(text: str) -> None:
    if on_main_process():
        Console().print(text, highlight=False)


def _raise_if_stopped(request: StopRequest, module: UnlearningModule, steps: int) -> None:
    last = module.last_record
    if request.asked and (last is None or last.step + 1 < steps):
        raise Interrupted
