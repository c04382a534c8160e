"""Find run folders and read the small files in them; `unlearning.report.details` reads the large ones."""

import json
import math
import os
from collections.abc import Callable, Mapping
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
    """The command that goes on where the run stopped."""
    metrics: Metrics = field(default_factory=dict)
    """Metrics of the unlearned model; empty until it has been evaluated."""
    target: Metrics | None = None
    retrained: Metrics | None = None
    missing: tuple[str, ...] = ()
    """Why parts of the final score could not be computed."""
    training: Metrics = field(default_factory=dict)
    stopped: str | None = None
    """Why training ended before its plan did."""

    @property
    def method(self) -> str:
        """Return the label of the method."""
        return str(self.config.get("method") or self.config.get("name") or self.path.name)

    @property
    def seed(self) -> int | None:
        """Return the seed, where the configuration names one."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def unlearned_something(self) -> bool:
        """Return whether `unlearn` made the run; memorising, tracing and evaluating leave folders that look alike."""
        return "method" in self.config

    @property
    def finished(self) -> bool:
        """Return whether there are numbers to compare."""
        return self.state == "finished"


def find_runs(folder: Path) -> list[Run]:
    """Return every run of `unlearn` under the folder, at any depth; one warning names those that cannot be read.

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
    """Return the run in one folder. Raises InputError, naming the file, where it is missing or malformed."""
    place = path.name if root is None or path == root else path.relative_to(root).as_posix()
    status = read_mapping(path / "status.json")
    state, error, resume = (str(value) if (value := status.get(key)) else None for key in ("state", "error", "resume"))
    run = Run(path, place, _mapping(path / "config.yaml", yaml.safe_load), state or "unknown", error, resume)
    if not run.finished or not run.unlearned_something:
        return run
    metrics = read_mapping(path / "metrics.json")
    unlearned = _numbers(metrics.get("unlearned"))
    if not unlearned:
        raise InputError(f"{path / 'metrics.json'}: no numbers under 'unlearned'")
    missing, training = metrics.get("missing"), metrics.get("training")
    return replace(
        run,
        metrics=unlearned,
        target=_numbers(metrics.get("target")),
        retrained=_numbers(metrics.get("retrained")),
        missing=tuple(map(str, missing)) if isinstance(missing, list) else (),
        training=_numbers(training) or {},
        stopped=training.get("stopped") if isinstance(training, dict) else None,
    )


def read_mapping(path: Path) -> dict[str, Any]:
    """Return a JSON object, with null for NaN and infinities. Raises InputError, naming the file."""
    return _mapping(path, lambda text: json.loads(text, parse_constant=lambda _: None))


def finite(value: object) -> float | None:
    """Return the number; None for anything else, NaN and infinities included."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(f"{path}: {reason}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: must be a mapping of keys to values")
    return value


def _run_folders(folder: Path) -> list[Path]:
    """Return the folders with a status or a configuration of a run; nothing inside a run is a run."""
    found = []
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        if "status.json" in files or {"config.yaml", "metrics.json"} <= set(files):
            found.append(Path(name))
            folders.clear()
    return found


def _numbers(value: object) -> dict[str, float | None] | None:
    """Return numbers by name; whatever is not a finite number counts as missing."""
    return {str(key): finite(item) for key, item in value.items()} if isinstance(value, dict) else None
