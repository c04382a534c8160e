"""Checks the model now and then, keeps its best weights, and ends training that is long enough or has failed."""

import time
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from unlearning.artefacts import write_csv
from unlearning.config.stopping import StoppingConfig
from unlearning.context import on_main_process
from unlearning.errors import EndedEarlyError, InputError
from unlearning.schedules.plan import PlanStep
from unlearning.training.best_weights import BEST, save_best
from unlearning.training.checker import Checker
from unlearning.training.checkpoint import writing
from unlearning.training.history import TrainingHistory
from unlearning.training.module import UnlearningModule
from unlearning.training.moving_ceiling import MovingCeiling
from unlearning.training.stopping_rules import Check, DivergedError, Stop, StopReason, best_check, stop_after

CHECKS = "checks.csv"
COLUMNS = [field.name for field in fields(Check)]


class EarlyStopping(pl.Callback):
    """Checks before the first step, every so many steps and, unless told otherwise, after the last one.

    See `StoppingConfig`.

    All decisions follow from the checks so far. These are in the checkpoint, so that a run that was killed decides the
    same when it goes on. checks.csv has one line a check; loggers get check/NAME for each loss. A ceiling that moves is
    moved by each check.
    """

    def __init__(
        self,
        config: StoppingConfig,
        checker: Checker | None,
        plan: Sequence[PlanStep],
        history: TrainingHistory,
        run_dir: Path,
        ceiling: MovingCeiling | None = None,
    ) -> None:
        """Without a checker there are no checks, and only the time can end training."""
        self.config, self.checker, self.plan, self.history, self.run_dir = config, checker, plan, history, run_dir
        self.ceiling = ceiling

    @property
    def best(self) -> Check | None:
        """The check whose weights are kept; None without checks, and where none is kept."""
        return best_check(self.history.checks, self.config) if self.config.keep_best and self.history.checks else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clock, and put the ceiling where the last check had moved it."""
        assert isinstance(pl_module, UnlearningModule)
        self.history.started = time.monotonic()
        if self.ceiling is not None and self.history.checks:
            self.ceiling.restore(pl_module, self.history.checks[-1])

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Check the untrained model before the very first step."""
        assert isinstance(pl_module, UnlearningModule)
        if self.checker is None or self.history.checks:
            return
        with trainer.precision_plugin.train_step_context():
            pl_module.losses = pl_module.losses or pl_module.prepare()
        self._check(trainer, pl_module, 0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Check where a check is due; stop where that is due, on all devices after the same step."""
        assert isinstance(pl_module, UnlearningModule)
        assert pl_module.last_record is not None
        done = pl_module.last_record.step + 1
        limit, every = self.config.max_seconds, self.config.check_every_steps
        late = limit is not None and trainer.strategy.reduce_boolean_decision(self.history.seconds >= limit, all=False)
        at_end = done == len(self.plan) and self.config.check_last_step
        if every is not None and (done % every == 0 or at_end or late):
            self._check(trainer, pl_module, done)
        if late and self.history.stopped is None and done < len(self.plan):
            self._stop(Stop(StopReason.max_seconds, f"stopping.max_seconds={limit:g} are over after step {done}"))
        if self.history.stopped is not None:
            trainer.should_stop = True

    def fall_back_to_best(self, error: InputError) -> None:
        """End training after a step that failed, with the best weights. Raises the error where there are none."""
        if self.best is None:
            raise error
        self._stop(Stop(StopReason.divergence, str(error)))

    def _check(self, trainer: pl.Trainer, module: UnlearningModule, done: int) -> None:
        assert self.checker is not None
        checks, first_epoch = self.history.checks, self._in_first_epoch(done)
        observe = self.config.observe_checks and first_epoch and done > 0
        with trainer.precision_plugin.train_step_context():
            check = self.checker.check(module, done, first_epoch, observe)
            checks.append(check if self.ceiling is None else self.ceiling.move(module, check, checks))
        module.log_dict({f"check/{name}": value for name, value in _losses(checks[-1]).items()})
        if trainer.is_global_zero:
            path = self.run_dir / CHECKS
            with writing(path):
                write_csv(path, COLUMNS, [astuple(check) for check in checks])
            if self.best is checks[-1]:
                save_best(self.run_dir / BEST, module.model, checks[-1], self.history.identity)
        stop = stop_after(checks, self.config)
        if stop is not None and (done < len(self.plan) or stop.reason.is_failure):
            self._stop(stop)

    def _in_first_epoch(self, done: int) -> bool:
        """Return whether the first pass over the rows is not over, also where the plan ends before it is."""
        if done == 0:
            return True
        last = self.plan[done - 1]
        return last.phase == 0 and last.epoch == 0 and not last.ends_epoch

    def _stop(self, stop: Stop) -> None:
        """Note the stop, and print its reason. Raises EndedEarlyError after a failure that leaves no weights."""
        best = self.best
        if stop.reason.is_failure and best is None:
            # What has not moved needs the opposite of what has diverged.
            raise EndedEarlyError(stop.message) if stop.reason is StopReason.unmoved else DivergedError(stop.message)
        self.history.stopped = stop.reason
        if on_main_process():
            kept = f"; the weights of the best check, after step {best.step}, are the result" if best else ""
            sign = "warning: " if stop.reason.is_failure else ""
            Console(stderr=True).print(f"{sign}{stop.message}{kept}", markup=False, highlight=False, soft_wrap=True)


def _losses(check: Check) -> dict[str, float]:
    values = {name: getattr(check, name) for name in COLUMNS if name != "step"}
    return {name: value for name, value in values.items() if value is not None}
