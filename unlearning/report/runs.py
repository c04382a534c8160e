"""Finds run folders and reads what is small in them; what is large waits for `unlearning.report.details`."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from unlearning.errors import InputError

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Run:
    """One job of `unlearn`, finished or not."""

    path: Path
    place: str
    """Folder relative to the one searched, for people."""
    config: dict[str, Any]
    state: str
    """running, finished, failed or interrupted."""
    error: str | None = None
    resume: str | None = None
    """Command that goes on where the run stopped."""
    metrics: Metrics = field(default_factory=dict)
    """Of the unlearned model; empty until it has been evaluated."""
    target: Metrics | None = None
    retrained: Metrics | None = None
    missing: tuple[str, ...] = ()
    """Why parts of the final score could not be computed."""
    training: Metrics = field(default_factory=dict)
    stopped: str | None = None
    """Why training ended before its plan did."""
    trace: dict[str, Any] | None = None

    @property
    def method(self) -> str:
        """Label of the method."""
        return str(self.config.get("method") or self.config.get("name") or self.path.name)

    @property
    def seed(self) -> int | None:
        """Of the run, where the configuration names one."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def unlearned_something(self) -> bool:
        """Whether `unlearn` made it; memorising, tracing and evaluating leave folders that look alike."""
        return "method" in self.config

    @property
    def finished(self) -> bool:
        """Whether there are numbers to compare."""
        return self.state == "finished"


def find_runs(folder: Path) -> list[Run]:
    """Every run of `unlearn` under the folder, at any depth, by path; one warning names those that cannot be read.

    Raises InputError where the folder is missing or holds no readable run.
    """
    if not folder.is_dir():
        raise InputError(f"runs={folder}: no such folder")
    runs, broken = [], []
    places = _run_folders(folder)
    for place in places:
        try:
            run = read_run(place, folder)
        except InputError as error:
            broken.append(str(error))
        else:
            runs += [run] if run.unlearned_something else []
    if broken:
        line = f"warning: {len(broken)} of {len(places)} run folders left out: {'; '.join(broken)}"
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
    if not runs:
        raise InputError(
            f"runs={folder}: no readable run of unlearn in it (such a folder holds config.yaml and status.json)"
        )
    return runs


def read_run(path: Path, root: Path | None = None) -> Run:
    """The run in one folder. Raises InputError, naming the file, where it is missing or malformed."""
    place = path.name if root is None or path == root else path.relative_to(root).as_posix()
    status = read_mapping(path / "status.json")
    config = _read_config(path / "config.yaml")
    state = str(status.get("state", "unknown"))
    run = Run(path, place, config, state, _text(status.get("error")), _text(status.get("resume")))
    if not run.finished or not run.unlearned_something:
        return run
    metrics = read_mapping(path / "metrics.json")
    unlearned = _numbers(metrics.get("unlearned"))
    if not unlearned:
        raise InputError(f"{path / 'metrics.json'}: no numbers under 'unlearned'")
    trace, missing, training = metrics.get("trace"), metrics.get("missing"), metrics.get("training")
    return replace(
        run,
        metrics=unlearned,
        target=_numbers(metrics.get("target")),
        retrained=_numbers(metrics.get("retrained")),
        missing=tuple(map(str, missing)) if isinstance(missing, list) else (),
        training=_numbers(training) or {},
        stopped=_text(training.get("stopped")) if isinstance(training, dict) else None,
        trace=trace if isinstance(trace, dict) else None,
    )


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON object; NaN and infinities in it become null. Raises InputError, naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object")
    return value


def _read_config(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a mapping")
    return value


def _run_folders(folder: Path) -> list[Path]:
    """Folders with a status or a configuration of a run; nothing inside a run is a run."""
    found = []
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        if "status.json" in files or {"config.yaml", "metrics.json"} <= set(files):
            found.append(Path(name))
            folders.clear()
    return found


def _numbers(value: object) -> dict[str, float | None] | None:
    """Numbers by name; whatever is not a finite number counts as missing."""
    if not isinstance(value, dict):
        return None
    return {str(key): _number(item) for key, item in value.items()}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: object) -> str | None:
    return str(value) if value else None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return " ".join(str(error).split())
