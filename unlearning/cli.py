"""The commands. Nothing heavy is imported before a configuration is known to be good."""

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from unlearning import config as schemas
from unlearning.config.errors import one_line
from unlearning.config.settings import settings_of
from unlearning.context import on_main_process
from unlearning.errors import Interrupted
from unlearning.runs.job import EXPECTED, relaunched_as, run_job, searched_values

if TYPE_CHECKING:
    from unlearning.config.commands import MergeConfig, ProbeCommandConfig
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
    """Find the layers that hold the facts."""
    _command("trace", _trace)


def evaluate() -> None:
    """Score one model."""
    _command("evaluate", _evaluate)


def merge() -> None:
    """Merge the adapters of finished runs into one, and score it."""
    _command("merge", _merge)


def probe() -> None:
    """Ask in many ways whether what a model has forgotten is gone."""
    _command("probe", _probe)


def report() -> None:
    """Compare finished runs."""
    _command("report", _report)


def conf_dir() -> Path:
    """The folder conf/: inside the package in a wheel, beside it in a checkout."""
    installed = Path(__file__).parent / "conf"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "conf"


def _command(name: str, task: Callable[[DictConfig], Any]) -> None:
    """Run a Hydra application; what a user did wrong is one line and exit code 1."""
    # Hydra would otherwise print its own, longer account of an error and exit before it reaches us.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    schemas.register()
    failures: list[Exception] = []

    def guarded(cfg: DictConfig) -> Any:
        # An error that passes through Hydra is announced by Hydra first; this one is raised again afterwards.
        try:
            return task(cfg)
        except Exception as error:
            failures.append(error)

    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(guarded)()
        if failures:
            raise failures[0]
    except EXPECTED as error:
        _fail(f"error: {one_line(error)}", 1)
    except Interrupted:
        _fail("interrupted", INTERRUPTED)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _fail(message: str, code: int) -> None:
    if not on_main_process():
        # What stops one device stops all of them; the main process says so, and must not take this one for lost.
        sys.exit(0)
    print(message, file=sys.stderr)
    sys.exit(code)


def _resume_command(name: str) -> str:
    """The command that goes on with this run, or this multirun, after an interruption."""
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        folder = f"hydra.sweep.dir={settings.sweep.dir}"
    else:
        folder = f"hydra.run.dir={settings.run.dir}"
    given = [word for word in sys.argv[1:] if not word.startswith(("hydra.run.dir=", "hydra.sweep.dir="))]
    return shlex.join([name, *given, folder])


def _unlearn(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """The numbers that a sweeper which searches is told of."""

    def job(settings: schemas.UnlearnConfig, context: "RunContext") -> None:
        from unlearning.commands.pipeline import run_unlearn

        run_unlearn(settings, context)

    _job(cfg, "unlearn", job)
    return searched_values(Path(HydraConfig.get().runtime.output_dir), list(cfg.optimized))


def _memorise(cfg: DictConfig) -> None:
    def job(settings: schemas.MemoriseConfig, context: "RunContext") -> None:
        from unlearning.commands.pipeline import run_memorise

        run_memorise(settings, context)

    _job(cfg, "unlearn-memorise", job)


def _trace(cfg: DictConfig) -> None:
    def job(settings: schemas.TraceCommandConfig, context: "RunContext") -> None:
        from unlearning.commands.pipeline import run_trace

        run_trace(settings, context)

    _job(cfg, "unlearn-trace", job)


def _evaluate(cfg: DictConfig) -> None:
    def job(settings: schemas.EvaluateConfig, context: "RunContext") -> None:
        from unlearning.commands.pipeline import run_evaluate

        run_evaluate(settings, context)

    _job(cfg, "unlearn-evaluate", job)


def _merge(cfg: DictConfig) -> None:
    def job(settings: "MergeConfig", context: "RunContext") -> None:
        from unlearning.commands.pipeline import run_merge

        run_merge(settings, context)

    _job(cfg, "unlearn-merge", job)


def _probe(cfg: DictConfig) -> None:
    def job(settings: "ProbeCommandConfig", context: "RunContext") -> None:
        from unlearning.commands.probe_command import run_probe

        run_probe(settings, context)

    _job(cfg, "unlearn-probe", job)


def _report(cfg: DictConfig) -> None:
    settings: schemas.ReportConfig = settings_of(cfg)
    from unlearning.report.compare import report_on

    report_on(Path(settings.runs), Path(settings.out) if settings.out else None, settings.select)


def _job(cfg: DictConfig, name: str, job: Callable[[Any, "RunContext"], None]) -> None:
    """Check the settings, then do the job in its run folder."""
    from unlearning.context import RunContext

    hydra_settings = HydraConfig.get()
    multirun = hydra_settings.mode == RunMode.MULTIRUN
    run_dir = Path(hydra_settings.runtime.output_dir)

    def checked_job() -> None:
        # Ranges are checked here, before anything slow is imported.
        settings = settings_of(cfg)
        _quieten()
        context = RunContext(
            run_dir=run_dir,
            group=Path(hydra_settings.sweep.dir).name if multirun else None,
            overrides=list(hydra_settings.overrides.task),
            choices={
                name: str(option)
                for name, option in hydra_settings.runtime.choices.items()
                if option is not None and not name.startswith(("hydra", "schema", "tuned"))
            },
            resolved=OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),  # type: ignore[arg-type]
        )
        with relaunched_as(_own_words(hydra_settings), run_dir) if multirun else nullcontext():
            job(settings, context)

    run_job(checked_job, cfg, run_dir, _resume_command(name), multirun)


def _own_words(settings: HydraConf) -> list[str]:
    """The command line of one job of a multirun, as if it had been called alone."""
    swept = ("hydra.mode=", "hydra.sweep", "hydra.run.dir=")
    kept = [word for word in settings.overrides.hydra if not word.startswith(swept)]
    return [*settings.overrides.task, *kept, "hydra.mode=RUN"]


def _quieten() -> None:
    """Libraries that announce themselves say only what went wrong."""
    for noisy in ("pytorch_lightning", "lightning.pytorch", "transformers", "httpx"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    for message in (".*LeafSpec.*", ".*is_gradient_checkpointing.*"):
        warnings.filterwarnings("ignore", message=message)
