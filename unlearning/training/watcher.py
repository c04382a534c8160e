"""Looks at the model now and then: keeps its best weights, and ends training that has gone on long enough or failed."""

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from unlearning.artefacts import write_csv
from unlearning.config.stopping import StoppingConfig
from unlearning.context import on_main_process
from unlearning.errors import InputError
from unlearning.schedules.plan import PlanStep
from unlearning.training.best import BEST, save_best
from unlearning.training.checkpoint import Progress, writing
from unlearning.training.measure import Measure
from unlearning.training.module import UnlearningModule
from unlearning.training.verdicts import Check, Stop, StopReason, best_of, stop_asked_for

CHECKS = "checks.csv"
COLUMNS = [field.name for field in fields(Check)]


@dataclass
class Course:
    """What is known of a run besides its weights, while it runs."""

    identity: str
    checks: list[Check]
    seconds_before: float
    """Of earlier attempts."""
    stopped: StopReason | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Of all attempts, the one that runs included."""
        return self.seconds_before + time.monotonic() - self.started

    def progress(self, next_step: int, objective: dict[str, float]) -> Progress:
        """What of it survives a kill."""
        return Progress(next_step, objective, self.seconds, self.identity, tuple(self.checks), self.stopped)


class Watcher(pl.Callback):
    """Checks before the first step, every so many steps and after the last one; see `StoppingConfig`.

    All that it decides follows from the checks so far, which are in the checkpoint, so that a run that was killed goes
    on to decide the same. checks.csv has them all, a line each; loggers get check/NAME for each loss.
    """

    def __init__(
        self,
        config: StoppingConfig,
        measure: Measure | None,
        plan: Sequence[PlanStep],
        course: Course,
        run_dir: Path,
    ) -> None:
        """Without a measure there are no checks, and only the time is looked at."""
        self.config, self.measure, self.plan, self.course, self.run_dir = config, measure, plan, course, run_dir

    @property
    def best(self) -> Check | None:
        """The check whose weights are kept."""
        return best_of(self.course.checks, self.config) if self.config.keep_best and self.course.checks else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self.course.started = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Before the first step of all, look at the model as it starts."""
        assert isinstance(pl_module, UnlearningModule)
        if self.measure is None or self.course.checks:
            return
        with trainer.precision_plugin.train_step_context():
            pl_module.terms = pl_module.terms or pl_module.prepare()
        self._check(trainer, pl_module, 0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Look where it is time; stop, on all devices after the same step, where that is due."""
        assert isinstance(pl_module, UnlearningModule)
        assert pl_module.last_record is not None
        done = pl_module.last_record.step + 1
        limit, every = self.config.max_seconds, self.config.check_every_steps
        late = limit is not None and trainer.strategy.reduce_boolean_decision(self.course.seconds >= limit, all=False)
        if every is not None and (done % every == 0 or done == len(self.plan) or late):
            self._check(trainer, pl_module, done)
        if late and self.course.stopped is None and done < len(self.plan):
            self._stop(Stop(StopReason.max_seconds, f"stopping.max_seconds={limit:g} are over after step {done}"))
        if self.course.stopped is not None:
            trainer.should_stop = True

    def give_up(self, error: InputError) -> None:
        """After a step that failed: leave it to the best weights. Raises the error where there are none."""
        if self.best is None:
            raise error
        self._stop(Stop(StopReason.divergence, str(error)))

    def _check(self, trainer: pl.Trainer, module: UnlearningModule, done: int) -> None:
        assert self.measure is not None
        checks, first_epoch = self.course.checks, self._in_first_epoch(done)
        observe = self.config.observe_checks and first_epoch and done > 0
        with trainer.precision_plugin.train_step_context():
            checks.append(self.measure.take(module, done, first_epoch, observe))
        module.log_dict({f"check/{name}": value for name, value in _losses(checks[-1]).items()})
        if trainer.is_global_zero:
            path = self.run_dir / CHECKS
            with writing(path):
                write_csv(path, COLUMNS, [astuple(check) for check in checks])
            if self.best is checks[-1]:
                save_best(self.run_dir / BEST, module.model, checks[-1], self.course.identity)
        stop = stop_asked_for(checks, self.config)
        if stop is not None and (done < len(self.plan) or stop.reason.is_failure):
            self._stop(stop)

    def _in_first_epoch(self, done: int) -> bool:
        """Whether the step that comes next is in the first pass over the rows."""
        return done < len(self.plan) and self.plan[done].phase == 0 and self.plan[done].epoch == 0

    def _stop(self, stop: Stop) -> None:
        """Say why, once. Raises InputError where nothing would be left after a failure."""
        best = self.best
        if stop.reason.is_failure and best is None:
            raise InputError(f"{stop.message}; lower optimizer.lr or set objective.forget_ceiling_nats")
        self.course.stopped = stop.reason
        if on_main_process():
            kept = f"; the weights of the best check, after step {best.step}, are the result" if best else ""
            sign = "warning: " if stop.reason.is_failure else ""
            Console(stderr=True).print(f"{sign}{stop.message}{kept}", markup=False, highlight=False, soft_wrap=True)


def _losses(check: Check) -> dict[str, float]:
    values = {name: getattr(check, name) for name in COLUMNS if name != "step"}
    return {name: value for name, value in values.items() if value is not None}
