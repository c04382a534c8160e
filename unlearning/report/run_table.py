"""Every run of a comparison as one line of a CSV file: what was varied, and all that was measured."""

from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame

from unlearning.artefacts import write_text
from unlearning.report.runs import Run
from unlearning.report.settings import flatten, varied

_NEVER_VARIED = ("name", "cache_dir", "logger.", "hydra.", "optimized", "tuned.")
COST = ("seconds", "steps", "trainable_parameters")


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Write a line for each run, in the order of the folders.

    A line has place, state, why the run failed or why its training ended early, method, seed, every key of the
    configuration that is not the same in all runs, every metric, and what training cost. What a run lacks is empty.
    """
    configs = [flatten(run.config) for run in runs]
    keys = [key for key in varied(configs) if key not in ("method", "seed") and not key.startswith(_NEVER_VARIED)]
    told = ("state", "error", "stopped", "method", "seed")
    lines = [
        {
            "run": run.place,
            **{name: None if (value := getattr(run, name)) is None else str(value) for name in told},
            **{key: config.get(key) for key in keys},
            **run.metrics,
            **{f"training_{key}": run.training.get(key) for key in COST},
        }
        for run, config in zip(runs, configs, strict=True)
    ]
    metrics = dict.fromkeys(key for run in runs for key in run.metrics)
    columns = ["run", *told, *keys, *metrics, *(f"training_{key}" for key in COST)]
    write_text(path, DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n"))
