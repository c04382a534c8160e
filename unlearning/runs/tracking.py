"""The curves of a run, for people to look at: Lightning's CSV logger or Weights & Biases.

No result depends on a tracker: metrics.json and loss_curve.csv are written whatever is chosen here. So a tracker that
is missing, unreachable or out of space causes one line of warning, and the run goes on without it.
"""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from unlearning.config.logger import LoggerConfig, LoggerKind
from unlearning.context import RunContext
from unlearning.evaluation.result import Generation
from unlearning.runs.provenance import without_home

INIT_SECONDS, FINISH_SECONDS = 30.0, 120.0
"""Longest waits for a W&B server. What was not sent by then stays in the run folder, for `wandb sync`."""
LONGEST_TAG = 64
"""Characters; W&B refuses longer tags."""
GENERATION_COLUMNS = ["id", "split", "task", "kind", "input", "expected", "generated", "score"]


class GuardedLogger(Logger):
    """A Lightning logger that wraps another one. A failure of that one ends the logging, not the run."""

    def __init__(self, inner: Logger) -> None:
        super().__init__()
        self.inner = inner
        self.broken = False

    @property
    def name(self) -> str | None:
        """Return the name of the wrapped logger."""
        return self.inner.name

    @property
    def version(self) -> int | str | None:
        """Return the version of the wrapped logger."""
        return self.inner.version

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log the numbers, unless the wrapped logger has failed before."""
        self.attempt(lambda: self.inner.log_metrics(metrics, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any) -> None:
        """Log the settings, unless the wrapped logger has failed before."""
        self.attempt(lambda: self.inner.log_hyperparams(params))

    def save(self) -> None:
        """Save what was logged, unless the wrapped logger has failed before."""
        self.attempt(self.inner.save)

    def finalize(self, status: str) -> None:
        """Close the wrapped logger, unless the wrapped logger has failed before."""
        self.attempt(lambda: self.inner.finalize(status))

    def attempt(self, action: Callable[[], None]) -> None:
        """Do the action unless an earlier one failed. A failure becomes one line of warning."""
        if self.broken:
            return
        try:
            action()
        except Exception as error:
            self.broken = True
            _warn(type(self.inner).__name__, error)


def make_loggers(config: LoggerConfig, run_name: str, job_type: str, context: RunContext) -> list[Logger]:
    """Return the loggers for Lightning's Trainer: one, or none where tracking is off or fails, or on further devices.

    CSV files go to csv/version_<attempt> in the run folder, W&B's files to wandb/. W&B is given the whole configuration
    without the names of home folders.
    """
    if config.kind is LoggerKind.none or getattr(rank_zero_only, "rank", 0) != 0:
        return []
    try:
        if config.kind is LoggerKind.csv:
            return [GuardedLogger(CSVLogger(save_dir=context.run_dir, name="csv"))]
        return [GuardedLogger(_wandb_logger(config, run_name, job_type, context))]
    except Exception as error:
        _warn(config.kind.value, error)
        return []


def finish(
    loggers: Sequence[Logger],
    summary: Mapping[str, float | None],
    plots: Sequence[Path] = (),
    generations: Sequence[Generation] = (),
    model: Path | None = None,
) -> None:
    """Log the final numbers, pictures, answers and the folder of weights, and close the loggers. Raises nothing."""
    for logger in loggers:
        if not isinstance(logger, GuardedLogger):
            continue
        numbers = {key: value for key, value in summary.items() if value is not None}
        if isinstance(logger.inner, WandbLogger):
            close = partial(_close_wandb, logger.inner.experiment, numbers, plots, generations, model)
            logger.attempt(close)
        else:
            logger.log_metrics({f"final/{key}": value for key, value in numbers.items()})
            logger.finalize("success")


def _wandb_logger(config: LoggerConfig, run_name: str, job_type: str, context: RunContext) -> WandbLogger:
    """Open the W&B run now, and not at Lightning's first use, so that a failure is known before training."""
    import wandb

    run = wandb.init(
        project=config.project,
        entity=config.entity,
        dir=context.run_dir,
        name=run_name,
        group=config.group or context.group,
        job_type=job_type,
        tags=[*config.tags, *(tag[:LONGEST_TAG] for tag in context.tags)],
        config=without_home(dict(context.resolved)),
        reinit="finish_previous",
        settings=_wandb_settings(online=config.kind is LoggerKind.wandb),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("train/*", step_metric="trainer/global_step")
    return WandbLogger(experiment=run, save_dir=context.run_dir, project=config.project, name=run_name)


def _wandb_settings(online: bool) -> Any:
    """Return settings by which W&B stores no code, no console output and no host, and does not wait for ever."""
    import wandb

    return wandb.Settings(
        mode="online" if online else "offline",
        silent=True,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        init_timeout=INIT_SECONDS,
        login_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
    )


def _close_wandb(
    run: Any,
    numbers: Mapping[str, float],
    plots: Sequence[Path],
    generations: Sequence[Generation],
    model: Path | None,
) -> None:
    """Add the final numbers, pictures, answers and weights to a W&B run and end it."""
    import wandb

    try:
        run.summary.update(dict(numbers))
        with _wandb_data_in(Path(run.settings.sync_dir)):
            for path in plots:
                run.log({f"plots/{path.stem}": wandb.Image(str(path))})
            if generations:
                rows = [[getattr(item, column) for column in GENERATION_COLUMNS] for item in generations]
                run.log({"generations": wandb.Table(columns=GENERATION_COLUMNS, data=rows)})
            if model is not None:
                artifact = wandb.Artifact(f"{run.name}-{run.id}", type="model")
                for path in sorted(model.iterdir()):
                    artifact.add_file(str(path))
                run.log_artifact(artifact)
    finally:
        run.finish()


@contextmanager
def _wandb_data_in(folder: Path) -> Iterator[None]:
    """Let W&B stage tables in this folder and not in the home folder, which may be small or read-only."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder / "staging")
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR")
        os.environ.update({} if before is None else {"WANDB_DATA_DIR": before})


def _warn(tracker: str, error: Exception) -> None:
    """Print the failure of a tracker as one line."""
    line = f"warning: {tracker} failed, going on without it: {' '.join(str(error).split()) or type(error).__name__}"
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
