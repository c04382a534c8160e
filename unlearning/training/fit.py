"""Runs a plan on the configured hardware, and goes on where an earlier attempt stopped."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import Logger
from rich.console import Console
from torch import nn
from transformers import PreTrainedModel

from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.context import on_main_process
from unlearning.errors import InputError, Interrupted
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep
from unlearning.training.batch_terms import BatchTerms
from unlearning.training.best import BEST, restore_best
from unlearning.training.callbacks import LOSS_CURVE, CheckpointWriter, CurveWriter, StopRequest, graceful_stop
from unlearning.training.checkpoint import (
    CHECKPOINT,
    NotWrittenError,
    Progress,
    read_progress,
    remove_partial_files,
    restore,
    save_checkpoint,
)
from unlearning.training.measure import Measure, rows_looked_at
from unlearning.training.module import UnlearningModule
from unlearning.training.plan_data import PlanDataModule
from unlearning.training.row_model import RowModel, first_trained_layer, plain_model
from unlearning.training.steps import RowBook, StepLayout
from unlearning.training.tables import GIB, build_tables, rows_worth_keeping
from unlearning.training.trainer import make_trainer, resolve_precision
from unlearning.training.verdicts import StopReason, best_of
from unlearning.training.watcher import CHECKS, Course, Watcher


@dataclass(frozen=True)
class TrainingTask:
    """What is trained on what."""

    model: nn.Module
    objective: Objective
    plan: Sequence[PlanStep]
    book: RowBook
    pad: int
    optimizer: OptimizerConfig
    seed: int
    identity: str
    """Hash of everything here; see `Progress.identity`."""
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    own_answers: RowBook | None = None
    """For checks, the rows with their own answers, where those of `book` have others; None: `book`."""


@dataclass(frozen=True)
class TrainingRecord:
    """What training took."""

    seconds: float
    steps: int
    """Steps made, which may be fewer than the plan has."""
    tokens: int
    rows: int
    stopped: StopReason | None
    """Why it ended before the plan did; None: it did not."""
    best_step: int | None
    """Steps made before the best check, whose weights are the result where stopping.keep_best; None without checks."""


def fit(task: TrainingTask, config: TrainerConfig, run_dir: Path, logger: Sequence[Logger]) -> TrainingRecord:
    """Train to the end of the plan, or as long as `task.stopping` allows, from the run folder's checkpoint, if any.

    Raises Interrupted after Ctrl-C or SIGTERM, with a checkpoint written; InputError where training fails without a
    best state to go back to, or where the disk is full.
    """
    plan = task.plan[: config.max_steps]
    pl.seed_everything(task.seed, workers=False, verbose=False)
    if on_main_process():
        remove_partial_files(run_dir, (CHECKPOINT, BEST, CHECKS, LOSS_CURVE))
    done = read_progress(run_dir / CHECKPOINT, task.identity)
    done = done or Progress(0, task.objective.state(), 0.0, task.identity)
    task.objective.load_state(done.objective)
    if done.next_step < len(plan) and done.stopped is None:
        done = _run(task, config, run_dir, logger, plan, done)
    elif done.next_step:
        restore(run_dir / CHECKPOINT, task.model, None)
    if not done.finished and on_main_process():
        done = _finish(task, run_dir, done)
    return _record(task, plan[: done.next_step], done)


def _finish(task: TrainingTask, run_dir: Path, done: Progress) -> Progress:
    """Go back to the best weights where they are wanted; save the result, for an evaluation that is killed."""
    best = best_of(done.checks, task.stopping) if done.checks else None
    if best is not None and task.stopping.keep_best:
        best = restore_best(run_dir / BEST, task.model, task.identity)
    done = replace(done, finished=True, best_step=None if best is None else best.step)
    save_checkpoint(run_dir / CHECKPOINT, task.model, None, done, random={})
    (run_dir / BEST).unlink(missing_ok=True)
    return done


def _record(task: TrainingTask, steps: Sequence[PlanStep], done: Progress) -> TrainingRecord:
    book, objective = task.book, task.objective
    rows = [book.forget[row] for step in steps for row in step.forget if objective.uses_forget]
    rows += [book.others[row] for step in steps for row in step.forget if objective.uses_forget and book.others]
    rows += [book.retain[row] for step in steps for row in step.retain if objective.uses_retain]
    return TrainingRecord(
        seconds=done.seconds,
        steps=len(steps),
        tokens=sum(len(row.input_ids) for row in rows),
        rows=len(rows),
        stopped=done.stopped,
        best_step=done.best_step,
    )


class StepProgress(RichProgressBar):
    """Lightning's bar, without the epochs that a plan does not have."""

    def _get_train_description(self, current_epoch: int) -> str:  # noqa: ARG002
        return "  steps"


def _run(
    task: TrainingTask,
    config: TrainerConfig,
    run_dir: Path,
    logger: Sequence[Logger],
    plan: Sequence[PlanStep],
    done: Progress,
) -> Progress:
    """Train the steps that remain, or as many of them as are allowed."""
    looked_at = None
    if task.stopping.check_every_steps is not None:
        looked_at = rows_looked_at(len(task.book.forget), len(task.book.retain), task.stopping)
    layout = _layout(task, config, plan)
    measure = Measure(looked_at, task.book, task.own_answers, layout, task.stopping) if looked_at else None
    course = Course(task.identity, list(done.checks), done.seconds)
    watcher = Watcher(task.stopping, measure, plan, course, run_dir)
    with graceful_stop() as request:
        # Checkpoints come last: what the others do for a step must not be missing when a run goes on after it.
        curve = CurveWriter(run_dir / LOSS_CURVE, done.next_step)
        writer = CheckpointWriter(run_dir / CHECKPOINT, config.checkpoint_every_seconds, request, course)
        trainer = make_trainer(config, run_dir, logger, [StepProgress(leave=True), curve, watcher, writer])

        def prepare() -> BatchTerms:
            """Tables are those of the weights at the start; only then come the weights of an earlier attempt."""
            rows = RowModel(plain_model(task.model), task.objective.layer)
            met = [*plan, looked_at] if looked_at else plan
            tables = build_tables(rows, task.objective, met, task.book, layout, config.reference_gib, _say)
            if done.next_step:
                restore(run_dir / CHECKPOINT, task.model, trainer.optimizers[0])
            return BatchTerms(rows, task.objective, tables)

        module = UnlearningModule(task.model, task.objective, task.optimizer, prepare)
        task.model.train()
        _train(trainer, module, PlanDataModule(task.book, layout, plan, done.next_step), watcher)
        task.model.eval()
        _raise_if_stopped(request, module, len(plan))
    steps = module.last_record.step + 1 if module.last_record else done.next_step
    return course.progress(steps, task.objective.state())


def _train(trainer: pl.Trainer, module: UnlearningModule, data: PlanDataModule, watcher: Watcher) -> None:
    """Until the plan or the watcher ends it. Raises InputError where a step fails and no best state is there."""
    try:
        trainer.fit(module, datamodule=data)
    except NotWrittenError:
        raise
    except InputError as error:
        if module.terms is None:  # nothing was trained: it is the reference that was refused, or the checkpoint
            raise
        watcher.give_up(error)


def _layout(task: TrainingTask, config: TrainerConfig, plan: Sequence[PlanStep]) -> StepLayout:
    """How steps become forward passes; rows whose frozen layers' output is worth keeping are set apart."""
    layout = StepLayout(
        pack_tokens=config.pack_tokens,
        packs_per_forward=config.packs_per_forward,
        pad=task.pad,
        retain_first=task.objective.retain_first,
        uses_forget=task.objective.uses_forget,
        uses_retain=task.objective.uses_retain,
    )
    model = plain_model(task.model)
    if config.prefix_cache_gib == 0 or first_trained_layer(model) == 0 or _drops_out(model):
        return layout
    # Lightning has not yet converted a model that is given in another precision.
    dtype = torch.bfloat16 if resolve_precision(config) == "bf16-true" else model.dtype
    width = dtype.itemsize * int(model.config.get_text_config().hidden_size)
    return replace(layout, apart=rows_worth_keeping(plan, task.book, layout, width, config.prefix_cache_gib * GIB))


def _drops_out(model: PreTrainedModel) -> bool:
    """Whether frozen layers may give something else each time: by a module, or by a function that the config sets."""
    settings = model.config.get_text_config().to_dict()
    # Those of a summary belong to a head that a language model does not have.
    names = [key for key in settings if "drop" in key and not key.startswith("summary_")]
    functional = [settings[key] for key in names if isinstance(settings[key], int | float)]
    modules = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    return any(share > 0 for share in (*functional, *modules))


def _say(text: str) -> None:
    if on_main_process():
        Console().print(text, highlight=False)


def _raise_if_stopped(request: StopRequest, module: UnlearningModule, steps: int) -> None:
    last = module.last_record
    if request.asked and (last is None or last.step + 1 < steps):
        raise Interrupted
