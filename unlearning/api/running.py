"""Run a configuration: what the command line does with it, without a command line."""

import shlex
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from unlearning.api.configuration import Configuration, without_hydra
from unlearning.api.results import Run
from unlearning.commands.start import run_context, start
from unlearning.context import on_main_process
from unlearning.runs.job import run_job
from unlearning.runs.owner import own_folder

FOLDER = "hydra.run.dir"


def run(configuration: Configuration, folder: str | Path | None = None) -> Run:
    """Do what the command of a configuration does, and return what it left in its folder.

    The run goes through the same stages as the command, in this process: it prints the same, owns its folder, writes
    the same files, and goes on where it was interrupted if it is run again with the same `folder`; a run that is
    finished is not computed again. Without `folder` it has a new one, as the command would: outputs/DATE/TIME-NAME in
    the working folder. With several devices Lightning starts the script once more for each of them, so it must name
    the folder.

    Raises InputError for what a user can mend, Interrupted on Ctrl-C.
    """
    composed = configuration.composed.copy()
    OmegaConf.clear_cache(composed)  # a folder that is named after the time is named after this run's
    if folder is not None:
        OmegaConf.update(composed, FOLDER, str(folder))
    with own_folder(composed, FOLDER):
        run_dir = Path(OmegaConf.select(composed, FOLDER))
        _do(configuration, composed, run_dir)
        return Run(run_dir)


def _do(configuration: Configuration, composed: DictConfig, run_dir: Path) -> None:
    """Do the job in its folder, which this process owns."""
    cfg = without_hydra(composed)
    context = run_context(cfg, composed.hydra, run_dir)

    def job() -> None:
        start(configuration.command, cfg, context)

    if on_main_process():
        run_job(job, cfg, run_dir, _resume_command(configuration, run_dir), multirun=False)
    else:
        # Processes for further devices write nothing.
        job()


def _resume_command(configuration: Configuration, run_dir: Path) -> str:
    """Return the command that goes on with this run after an interruption."""
    program = "unlearn" if configuration.command == "unlearn" else f"unlearn-{configuration.command}"
    words = [word for word in configuration.words if not word.startswith(f"{FOLDER}=")]
    return shlex.join([program, *words, f"{FOLDER}={run_dir}"])
