"""How a multirun ends: with a comparison of its jobs, and an exit code that tells whether all of them finished."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class CompareRuns(Callback):
    """Hydra's hook at the end of a multirun. conf/hydra/runs.yaml names it."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Compare the jobs that have results; exit with code 1 where a job did not finish."""
        from unlearning.report.compare import report_on
        from unlearning.runs.sweep import METRICS, all_finished, job_folders

        folder = Path(config.hydra.sweep.dir)
        jobs = job_folders(folder)
        if any((job / METRICS).exists() for job in jobs):
            report_on(folder, None)
        if not all_finished(jobs):
            sys.exit(1)
