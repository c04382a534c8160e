"""A resumable state of training: a folder of safetensors files, each written atomically, without pickles.

A checkpoint holds the parameters that may move, the optimiser's moments and the random state. As JSON in its metadata
it holds the next step, the objective's state, the checks so far and a hash of what is being trained. Frozen weights are
not in it.

Where every process has whole weights, the main process writes one file. Where weights are sharded, each process writes
its own shards. A checkpoint counts once all its files are there, and then the older ones are removed, so a kill at any
moment leaves the newest whole one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unlearning.artefacts import write_file
from unlearning.errors import InputError
from unlearning.training import random_state
from unlearning.training.checkpoint_files import file_name, newest_parts, remove_superseded
from unlearning.training.sharding import Part, as_shards, own_part, own_shard, sharded_like
from unlearning.training.stopping_rules import Check, StopReason

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    next_step: int
    """Index of the first step not yet done."""
    objective: dict[str, float]
    """The state of the objective."""
    seconds: float
    """Seconds of training so far, over all attempts."""
    identity: str
    """Hash of settings, data and weights at the start: a run continues no other run's checkpoint."""
    checks: tuple[Check, ...] = ()
    """All checks so far; the best one, and when patience ends, follow from them."""
    stopped: StopReason | None = None
    """Why no further step is made although the plan has more; None where the run goes on."""
    finished: bool = False
    """Whether the weights are the result: the best ones have been put back where they are wanted."""
    best_step: int | None = None
    """For a finished run whose best weights are the result, the number of steps made before they were found."""


class NotWrittenError(InputError):
    """A file could not be written: the disk is full, or is not writable."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while a file is written into a NotWrittenError of one line."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise NotWrittenError(
            f"{path}: cannot be written ({reason or error}); "
            "what was written before is whole, and the same command in the same folder goes on from there"
        ) from error


@dataclass(frozen=True)
class Snapshot:
    """What one process writes of a checkpoint."""

    progress: Progress
    tensors: Mapping[str, Tensor]
    """On the CPU; no step changes them before they are written."""
    part: Part

    @property
    def name(self) -> str:
        """The name of the file."""
        return file_name(self.progress.identity, self.progress.next_step, self.part.number, self.part.count)

    def write(self, folder: Path) -> None:
        """Write the file, then remove what a whole checkpoint makes superfluous.

        Raises NotWrittenError, and then leaves the checkpoint before as it was.
        """
        write_tensors(folder / self.name, self.tensors, {"progress": json.dumps(asdict(self.progress))})
        remove_superseded(folder, self.progress.identity)


def take_snapshot(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    progress: Progress,
    random: Mapping[str, Tensor],
    place: dict[str, Tensor] | None,
) -> Snapshot | None:
    """Return the state before the step `progress.next_step`; a finished run needs no optimiser.

    It is copied into `place`, which keeps its memory from one call to the next, so staging costs one copy of the state.
    Without a place, tensors of the CPU are those of the model, and no step may be made until they are written. To be
    called on all devices together. Returns None on a device that has nothing of its own to write.
    """
    part = own_part(model)
    if part is None:
        return None
    shards = {name: own_shard(tensor, part) for name, tensor in _state(model, optimizer)}
    own = {name: shard for name, shard in shards.items() if shard is not None}
    tensors = {name: shard.cpu().contiguous() for name, shard in own.items()} if place is None else _copy(own, place)
    return Snapshot(progress, {**tensors, **(random if part.number == 0 else {})}, part)


def _copy(tensors: Mapping[str, Tensor], place: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors into the place, and return what it then holds."""
    for name in place.keys() - tensors.keys():
        del place[name]
    for name, tensor in tensors.items():
        kept = place.setdefault(name, torch.empty_like(tensor, device="cpu", memory_format=torch.contiguous_format))
        kept.copy_(tensor)
    return dict(place)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    progress: Progress,
    random: Mapping[str, Tensor],
) -> None:
    """Write a checkpoint and wait for the disk. Raises NotWrittenError."""
    snapshot = take_snapshot(model, optimizer, progress, random, None)
    if snapshot is not None:
        snapshot.write(folder)


def _state(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> Iterator[tuple[str, Tensor]]:
    """Yield the names in the file and their tensors, which may be sharded."""
    for name, parameter in trainable(model).items():
        yield f"parameter/{name}", parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items() if optimizer is not None else ():
            yield f"optimizer/{key}/{name}", value


def read_progress(folder: Path, identity: str) -> Progress | None:
    """Return how far the run has come; None where there is no checkpoint of this very run.

    Raises InputError where a file is damaged.
    """
    parts = newest_parts(folder, identity)
    if not parts:
        return None
    with _reading(parts[0]), safe_open(parts[0], framework="pt") as file:
        found = json.loads(file.metadata()["progress"])
        checks = tuple(Check(**check) for check in found.pop("checks"))
        reason = found.pop("stopped")
        progress = Progress(**found, checks=checks, stopped=None if reason is None else StopReason(reason))
    return progress if progress.identity == identity else None


def restore(folder: Path, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Put parameters, moments and random state back, on any number of devices.

    Raises InputError where a file is damaged.
    """
    parameters, random = trainable(model), dict[str, Tensor]()
    missing, moments = set(parameters), dict[Tensor, dict[str, Any]]()
    parts = newest_parts(folder, identity)
    with _reading(parts[0]):
        for key, tensor in _tensors(parts):
            kind, _, name = key.partition("/")
            if kind == "parameter":
                _put(parameters[name], tensor)
                missing.remove(name)
            elif kind == "optimizer" and optimizer is not None:
                moment, _, name = name.partition("/")
                moments.setdefault(parameters[name], {})[moment] = _moment(moment, tensor, parameters[name])
            elif kind == "random":
                random[key] = tensor
        if missing:
            raise KeyError(sorted(missing)[0])
    random_state.restore(random)
    if optimizer is not None:
        optimizer.state.clear()
        optimizer.state.update(moments)


def _moment(name: str, tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return one value of the optimiser's state, sharded as its parameter is.

    Fused AdamW counts its steps on the device of its moments. What was read is a view of the file, so it is copied:
    else the file would keep its place on the disk after the next checkpoint has replaced it.
    """
    own = tensor.to(parameter.device, copy=True)
    return own if name == "step" else sharded_like(own, parameter)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of the CPU as a safetensors file, straight from memory, whole or not at all.

    Raises NotWrittenError.
    """
    with writing(path):
        write_file(path, lambda partial: save_file(dict(tensors), partial, metadata=metadata))


def read_tensors(path: Path, everything: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return a file's metadata and, with `everything`, its tensors. Raises SafetensorError where it is damaged."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys() if everything}  # noqa: SIM118


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that may move, by their names."""
    as_shards(model)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def put_parameters(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set the parameters that may move to the tensors under "parameter/". Raises KeyError where one is missing."""
    for name, parameter in trainable(model).items():
        _put(parameter, tensors[f"parameter/{name}"])


def _put(parameter: nn.Parameter, tensor: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(sharded_like(tensor, parameter))


def _tensors(parts: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor with its name, put together from its shards, which are shares of the first dimension."""
    files: list[Any] = [safe_open(path, framework="pt") for path in parts]
    for key in files[0].keys():  # noqa: SIM118
        shards = [file.get_tensor(key) for file in files if key in file.keys()]  # noqa: SIM118
        yield key, shards[0] if len(shards) == 1 else torch.cat(shards)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged file into an InputError of one line."""
    try:
        yield
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); delete it to start afresh") from error
