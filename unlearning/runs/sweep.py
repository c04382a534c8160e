"""What a multirun ends with: one comparison of its jobs, and an exit code that tells whether all of them finished."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class CompareRuns(Callback):
    """Hydra's end-of-multirun hook."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Compare the jobs' folders; exits with code 1 where a job did not finish."""
        from unlearning.report.compare import report_on
        from unlearning.runs.job import read_status

        folder = Path(config.hydra.sweep.dir)
        jobs = sorted(path.parent for path in folder.glob("*/status.json"))
        if any((job / "metrics.json").exists() for job in jobs):
            report_on(folder, None)
        if any(read_status(job)["state"] != "finished" for job in jobs):
            sys.exit(1)
