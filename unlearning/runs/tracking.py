"""Curves for people: Lightning's CSV logger or Weights & Biases.

No result depends on them: metrics.json and loss_curve.csv are written whatever is chosen here. So a tracker
that is missing, unreachable or out of space costs one warning line, and is left alone from then on.
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

from unlearning.config import LoggerConfig, LoggerKind
from unlearning.evaluation.result import Generation
from unlearning.runs.provenance import without_home

INIT_SECONDS, FINISH_SECONDS = 30.0, 120.0
"""Longest waits for a W&B server; what was not sent by then stays in the run folder, for `wandb sync`."""
GENERATION_COLUMNS = ["id", "split", "task", "kind", "input", "expected", "generated", "score"]


class GuardedLogger(Logger):
    """A Lightning logger whose failures end the logging, not the run."""

    def __init__(self, inner: Logger) -> None:
        super().__init__()
        self.inner = inner
        self.broken = False

    @property
    def name(self) -> str | None:
        """Of the logger inside."""
        return self.inner.name

    @property
    def version(self) -> int | str | None:
        """Of the logger inside."""
        return self.inner.version

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Pass on, while the logger works."""
        self.attempt(lambda: self.inner.log_metrics(metrics, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any) -> None:
        """Pass on, while the logger works."""
        self.attempt(lambda: self.inner.log_hyperparams(params))

    def save(self) -> None:
        """Pass on, while the logger works."""
        self.attempt(self.inner.save)

    def finalize(self, status: str) -> None:
        """Pass on, while the logger works."""
        self.attempt(lambda: self.inner.finalize(status))

    def attempt(self, action: Callable[[], None]) -> None:
        """Do it unless an earlier attempt failed; a failure becomes one warning line."""
        if self.broken:
            return
        try:
            action()
        except Exception as error:
            self.broken = True
            _warn(type(self.inner).__name__, error)


def make_logger(
    config: LoggerConfig,
    run_dir: Path,
    run_name: str,
    group: str | None,
    job_type: str,
    tags: Sequence[str],
    resolved_config: Mapping[str, Any],
) -> list[Logger]:
    """The loggers for Lightning's Trainer: one, or none where tracking is off, fails, or this is not rank 0.

    CSV files go to run_dir/csv/version_<attempt>; W&B's to run_dir/wandb. Of the resolved configuration, home
    folders are left out.
    """
    if config.kind is LoggerKind.none or getattr(rank_zero_only, "rank", 0) != 0:
        return []
    settings = without_home(dict(resolved_config))
    try:
        if config.kind is LoggerKind.csv:
            return [GuardedLogger(CSVLogger(save_dir=run_dir, name="csv"))]
        return [GuardedLogger(_wandb_logger(config, run_dir, run_name, group, job_type, tags, settings))]
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
    """Log the final numbers, pictures, answers and the folder of weights, and close the loggers; never raises."""
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


def _wandb_logger(
    config: LoggerConfig,
    run_dir: Path,
    run_name: str,
    group: str | None,
    job_type: str,
    tags: Sequence[str],
    settings: dict[str, Any],
) -> WandbLogger:
    """Opens the W&B run now, not at Lightning's first use, so that a failure is known before training."""
    import wandb

    run = wandb.init(
        project=config.project,
        entity=config.entity,
        dir=run_dir,
        name=run_name,
        group=config.group or group,
        job_type=job_type,
        tags=[*config.tags, *tags],
        config=settings,
        reinit="finish_previous",
        settings=_wandb_settings(online=config.kind is LoggerKind.wandb),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("train/*", step_metric="trainer/global_step")
    return WandbLogger(experiment=run, save_dir=run_dir, project=config.project, name=run_name)


def _wandb_settings(online: bool) -> Any:
    """Metrics and nothing else: no code, no git diff, no console, no host, and no waiting for ever."""
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
    """Tables are staged in the run's folder rather than the home folder, which may be small or read-only."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder / "staging")
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR")
        os.environ.update({} if before is None else {"WANDB_DATA_DIR": before})


def _warn(tracker: str, error: Exception) -> None:
    line = f"warning: {tracker} failed, going on without it: {' '.join(str(error).split()) or type(error).__name__}"
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
