"""Every run of a comparison as one line of a CSV file: what was varied, and all that was measured."""

from collections.abc import Sequence
from pathlib import Path

from unlearning.artefacts import write_csv
from unlearning.report.grouping import differing, flatten
from unlearning.report.runs import Run

_NEVER_VARIED = ("name", "cache_dir", "logger.", "hydra.", "optimized", "tuned.")
COST = ("seconds", "steps", "trainable_parameters")


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """One line a run, in the order of the folders: place, state, why it failed or why its training ended early, method,
    seed, every key of the configuration that is not the same in all of them, every metric, and what training cost.
    Empty where a run has no such thing."""
    configs = [flatten(run.config) for run in runs]
    varied = [key for key in differing(configs) if key not in ("method", "seed") and not key.startswith(_NEVER_VARIED)]
    metrics = list(dict.fromkeys(key for run in runs for key in run.metrics))
    columns = ["run", "state", "error", "stopped", "method", "seed"]
    columns += [*varied, *metrics, *(f"training_{key}" for key in COST)]
    lines = []
    for run, config in zip(runs, configs, strict=True):
        line: list[object] = [run.place, run.state, run.error or "", run.stopped or "", run.method]
        line += ["" if run.seed is None else run.seed, *(config.get(key, "") for key in varied)]
        line += [_cell(run.metrics.get(key)) for key in metrics]
        line += [_cell(run.training.get(key)) for key in COST]
        lines.append(line)
    write_csv(path, columns, lines)


def _cell(value: float | None) -> str:
    """Enough digits that the number is the same when it is read back."""
    return "" if value is None else repr(value)
