"""Every run of a comparison as one line of a CSV file: what was varied, and all that was measured."""

from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame, concat

from unlearning.artefacts import write_text
from unlearning.report.runs import Run
from unlearning.report.settings import flatten, varied

_NOT_VARIED = ("method", "seed")
_NEVER_VARIED = ("name", "cache_dir", "logger.", "hydra.", "optimized", "tuned.")
COST = ("seconds", "steps", "trainable_parameters")


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Write a line for each run, in the order of the folders.

    A line has place, state, why the run failed or why its training ended early, method, seed, every key of the
    configuration that is not the same in all runs, every metric, and what training cost. What a run lacks is empty.
    """
    about = [
        (run.place, run.state, run.error, run.stopped, run.method, "" if run.seed is None else str(run.seed))
        for run in runs
    ]
    configs = [flatten(run.config) for run in runs]
    keys = [key for key in varied(configs) if key not in _NOT_VARIED and not key.startswith(_NEVER_VARIED)]
    parts = [
        DataFrame(about, columns=["run", "state", "error", "stopped", "method", "seed"]),
        DataFrame(configs, columns=keys),
        DataFrame([run.metrics for run in runs]),
        DataFrame([run.training for run in runs], columns=COST).add_prefix("training_"),
    ]
    write_text(path, concat(parts, axis="columns").to_csv(index=False, lineterminator="\n"))
