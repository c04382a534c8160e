"""How a multirun ends: with a comparison of its jobs, and an exit code that tells whether all of them finished."""

import logging
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from unlearning.config.errors import one_line

log = logging.getLogger(__name__)


class CompareRuns(Callback):
    """Hydra's hook at the end of a multirun. conf/hydra/runs.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Compare the jobs that have results; exit with code 1 where one did not finish, or the comparison fails."""
        from unlearning.commands.comparison import report_on
        from unlearning.runs.sweep import METRICS, is_search, job_folders, unfinished

        folder = Path(config.hydra.sweep.dir)
        jobs = job_folders(folder)
        try:
            if any((job / METRICS).exists() for job in jobs):
                report_on(folder, None)
        except Exception as error:
            # Hydra would only warn of an error in this hook, and exit with code 0.
            log.info("failed", exc_info=error)
            print(f"error: {folder}: the jobs cannot be compared: {one_line(error)}", file=sys.stderr)
            sys.exit(1)
        missing = unfinished(jobs, is_search(config.hydra))
        if missing:
            print(f"error: {folder}: not finished: {', '.join(job.name for job in missing)}", file=sys.stderr)
            sys.exit(1)
