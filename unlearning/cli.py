"""The entry points of the commands.

The command NAME reads conf/NAME.yaml, and `run` of unlearning/commands/NAME.py does the work. Nothing heavy is imported
before the configuration is known to be good.
"""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from unlearning.commands.start import quieten_libraries, run_context, start
from unlearning.config.command_line import readable_words
from unlearning.config.errors import one_line
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.settings import settings_of
from unlearning.context import on_main_process
from unlearning.errors import Interrupted
from unlearning.runs.job import USER_ERRORS, run_job
from unlearning.runs.job_folder import own_job_folder
from unlearning.runs.owner import let_go
from unlearning.runs.sweep import relaunched_alone, searched_values

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def unlearn() -> None:
    """Load, trace, unlearn, evaluate, report."""
    _command("unlearn", _unlearn)


def memorise() -> None:
    """Train a model until it has memorised the rows."""
    _command("memorise", partial(_job, "memorise"))


def trace() -> None:
    """Find the layers that hold the facts."""
    _command("trace", partial(_job, "trace"))


def evaluate() -> None:
    """Score one model."""
    _command("evaluate", partial(_job, "evaluate"))


def merge() -> None:
    """Merge the adapters of finished runs into one, and score it."""
    _command("merge", partial(_job, "merge"))


def probe() -> None:
    """Ask in many ways whether what a model has forgotten is gone."""
    _command("probe", partial(_job, "probe"))


def report() -> None:
    """Compare finished runs."""
    _command("report", _report)


def plan() -> None:
    """Say what a run of `unlearn` would be, without weights."""
    _command("plan", _plan)


def _command(name: str, task: Callable[[DictConfig], Any]) -> None:
    """Run a Hydra application. What a user did wrong becomes one line and exit code 1."""
    # Hydra would otherwise print its own, longer account of an error and exit before the error reaches this function.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register()
    failures: list[Exception] = []

    def guarded(cfg: DictConfig) -> Any:
        # Hydra announces an error that passes through it. So the error is kept back here and raised again afterwards.
        try:
            return task(cfg)
        except Exception as error:
            failures.append(error)

    try:
        sys.argv[1:] = readable_words(sys.argv[1:])
        with _termination_interrupts():
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(guarded)()
        if failures:
            raise failures[0]
    except USER_ERRORS as error:
        _fail(f"error: {one_line(error)}", 1)
    except Interrupted:
        _fail("interrupted", INTERRUPTED)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        let_go()


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """While open, SIGTERM does what Ctrl-C does: a scheduler that ends a job then finds its state, and how to go on."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _fail(message: str, code: int) -> None:
    """Print the message and exit with the code."""
    if not on_main_process():
        # What stops one device stops all of them. The main process reports it, and must not think this process is lost.
        sys.exit(0)
    print(message, file=sys.stderr)
    sys.exit(code)


def _unlearn(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """Do the job, and return the numbers that a sweeper which searches asks for."""
    return searched_values(_job("unlearn", cfg), list(cfg.optimized))


def _report(cfg: DictConfig) -> None:
    """Compare runs; this command has no run folder of its own."""
    settings = settings_of(cfg)
    import_module("unlearning.commands.report").run(settings)


def _plan(cfg: DictConfig) -> None:
    """Plan a run; this command has no run folder either."""
    settings = settings_of(cfg)
    quieten_libraries()
    import_module("unlearning.commands.plan").run(settings)


def _job(name: str, cfg: DictConfig) -> Path:
    """Check the settings of a command, then do its job in its run folder. Returns the folder."""
    hydra_settings = HydraConfig.get()
    multirun = hydra_settings.mode == RunMode.MULTIRUN
    asked = Path(hydra_settings.runtime.output_dir)
    own: AbstractContextManager[Path] = nullcontext(asked)
    if multirun:
        own = own_job_folder(asked, hydra_settings.job.num, cfg)
    with own as run_dir:

        def checked_job() -> None:
            with relaunched_alone(hydra_settings, run_dir) if multirun else nullcontext():
                start(name, cfg, run_context(cfg, hydra_settings, run_dir))

        if on_main_process():
            program = "unlearn" if name == "unlearn" else f"unlearn-{name}"
            run_job(checked_job, cfg, run_dir, _resume_command(program), multirun)
        else:
            # Processes for further devices write nothing.
            checked_job()
        return run_dir


def _resume_command(program: str) -> str:
    """Return the command that goes on with this run, or this multirun, after an interruption."""
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        folder = f"hydra.sweep.dir={settings.sweep.dir}"
    else:
        folder = f"hydra.run.dir={settings.run.dir}"
    given = [word for word in sys.argv[1:] if not word.startswith(("hydra.run.dir=", "hydra.sweep.dir="))]
    return shlex.join([program, *given, folder])
