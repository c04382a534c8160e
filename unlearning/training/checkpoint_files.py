"""The files of a run's checkpoints: their names, which belong together, and which are superfluous.

A file is named by the run, the step, and its part of all parts that belong together.
"""

import re
from collections.abc import Iterable
from pathlib import Path

FILE = re.compile(r"(?P<identity>\w+)\.step-(?P<step>\d+)\.part-(?P<part>\d+)-of-(?P<parts>\d+)\.safetensors")


def file_name(identity: str, step: int, part: int, parts: int) -> str:
    """Return the name of one of the `parts` files of the checkpoint before a step."""
    return f"{_shortened(identity)}.step-{step}.part-{part}-of-{parts}.safetensors"


def _shortened(identity: str) -> str:
    return identity[:12]


def _parts(folder: Path, identity: str) -> dict[Path, tuple[int, int]]:
    """Return the files of a run's checkpoints, in the order of their parts: step and number of parts of each."""
    found = [(path, match) for path in folder.glob("*.safetensors") if (match := FILE.fullmatch(path.name))]
    own = [(path, match) for path, match in found if match["identity"] == _shortened(identity)]
    own.sort(key=lambda each: int(each[1]["part"]))
    return {path: (int(match["step"]), int(match["parts"])) for path, match in own}


def newest_parts(folder: Path, identity: str) -> list[Path]:
    """Return the parts of the newest whole checkpoint in their order; of two of one step, that with fewer parts.

    The run's result, which the main process writes alone, thus counts before the shards of the last step.
    """
    parts = _parts(folder, identity)
    counts = list(parts.values())
    whole = [(step, -count) for step, count in set(counts) if counts.count((step, count)) == count]
    if not whole:
        return []
    step, count = max(whole)
    return [path for path, found in parts.items() if found == (step, -count)]


def remove_superseded(folder: Path, identity: str) -> None:
    """Remove files that are older than the newest whole checkpoint, or of another run."""
    newest, parts = newest_parts(folder, identity), _parts(folder, identity)
    if not newest:
        return
    step = parts[newest[0]][0]
    for path in folder.glob("*.safetensors"):
        if path not in newest and (path not in parts or parts[path][0] <= step):
            path.unlink(missing_ok=True)


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Remove the half-written copies of these files that a kill has left beside them."""
    for name in names:
        for partial in folder.glob(f".{name}.*.partial"):
            partial.unlink(missing_ok=True)


def remove_half_checkpoints(folder: Path, identity: str) -> None:
    """Remove half-written files, and files of checkpoints that a kill has left without their other parts."""
    whole = newest_parts(folder, identity)
    for path in (*folder.glob(".*.partial"), *(path for path in _parts(folder, identity) if path not in whole)):
        path.unlink(missing_ok=True)
