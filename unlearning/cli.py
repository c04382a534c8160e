"""The five commands. Nothing heavy is imported before a configuration is known to be good."""

import logging
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unlearning import config as schemas
from unlearning.config_errors import one_line
from unlearning.errors import InputError

if TYPE_CHECKING:
    from unlearning.context import RunContext

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def unlearn() -> None:
    """Load, trace, unlearn, evaluate, report."""
    _command("unlearn", _unlearn)


def memorise() -> None:
    """Train a model until it has memorised the rows."""
    _command("memorise", _memorise)


def trace() -> None:
    """Find the blocks that hold the facts."""
    _command("trace", _trace)


def evaluate() -> None:
    """Score one model."""
    _command("evaluate", _evaluate)


def report() -> None:
    """Compare finished runs."""
    _command("report", _report)


def conf_dir() -> Path:
    """The folder conf/: inside the package in a wheel, beside it in a checkout."""
    installed = Path(__file__).parent / "conf"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "conf"


def _command(name: str, task: Callable[[DictConfig], None]) -> None:
    """Run a Hydra application; what a user did wrong is one line and exit code 1."""
    # Hydra would otherwise print its own, longer account of an error and exit before it reaches us.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    schemas.register()
    application = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(task)
    try:
        application()
    except (InputError, HydraException, OmegaConfBaseException) as error:
        _fail(f"error: {one_line(error)}", 1)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


def _settings(cfg: DictConfig) -> Any:
    """The configuration as checked objects; raises before anything slow is imported."""
    settings = OmegaConf.to_object(cfg)
    for noisy in ("pytorch_lightning", "lightning.pytorch", "transformers"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return settings


def _resume_command(name: str) -> str:
    """The command that goes on with this run, or this multirun, after an interruption."""
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        folder = f"hydra.sweep.dir={settings.sweep.dir}"
    else:
        folder = f"hydra.run.dir={settings.run.dir}"
    given = [word for word in sys.argv[1:] if not word.startswith(("hydra.run.dir=", "hydra.sweep.dir="))]
    return shlex.join([name, *given, folder])


def _unlearn(cfg: DictConfig) -> None:
    settings: schemas.UnlearnConfig = _settings(cfg)
    from unlearning.pipeline import run_unlearn

    _job(cfg, "unlearn", lambda context: run_unlearn(settings, context))


def _memorise(cfg: DictConfig) -> None:
    settings: schemas.MemoriseConfig = _settings(cfg)
    from unlearning.pipeline import run_memorise

    _job(cfg, "unlearn-memorise", lambda context: run_memorise(settings, context))


def _trace(cfg: DictConfig) -> None:
    settings: schemas.TraceCommandConfig = _settings(cfg)
    from unlearning.pipeline import run_trace

    _job(cfg, "unlearn-trace", lambda context: run_trace(settings, context))


def _evaluate(cfg: DictConfig) -> None:
    settings: schemas.EvaluateConfig = _settings(cfg)
    from unlearning.pipeline import run_evaluate

    _job(cfg, "unlearn-evaluate", lambda context: run_evaluate(settings, context))


def _report(cfg: DictConfig) -> None:
    settings: schemas.ReportConfig = _settings(cfg)
    from unlearning.report.compare import report_on

    report_on(Path(settings.runs), Path(settings.out) if settings.out else None)


def _job(cfg: DictConfig, name: str, job: Callable[["RunContext"], None]) -> None:
    from unlearning.context import RunContext
    from unlearning.jobs import run_job

    hydra_settings = HydraConfig.get()
    multirun = hydra_settings.mode == RunMode.MULTIRUN
    context = RunContext(
        run_dir=Path(hydra_settings.runtime.output_dir),
        group=Path(hydra_settings.sweep.dir).name if multirun else None,
        overrides=list(hydra_settings.overrides.task),
        resolved=OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),  # type: ignore[arg-type]
    )
    run_job(lambda: job(context), cfg, context.run_dir, _resume_command(name), multirun)
