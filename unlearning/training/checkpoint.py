"""A resumable state of training: one safetensors file, written atomically, without pickles.

It holds the parameters that may move, the optimiser's moments and the random state. As JSON in its metadata it holds
the next step, the objective's state, the checks so far and a hash of what is being trained. Frozen weights are not in
it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unlearning.artefacts import write_bytes
from unlearning.context import on_main_process
from unlearning.errors import InputError
from unlearning.training import random_state
from unlearning.training.sharding import as_shards, sharded_like, whole_tensor
from unlearning.training.stopping_rules import Check, StopReason

CHECKPOINT = "checkpoint.safetensors"


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
    """For a finished run, the number of steps made before the best check."""


class NotWrittenError(InputError):
    """A file could not be written: the disk is full, or is not writable."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors while a file is written into a NotWrittenError of one line."""
    try:
        yield
    except OSError as error:
        raise NotWrittenError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "what was written before is whole, and the same command in the same folder goes on from there"
        ) from error


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    progress: Progress,
    random: Mapping[str, Tensor],
) -> None:
    """Write the state before the step `progress.next_step`; a finished run needs no optimiser.

    With sharded weights it must be called on all devices; the main process writes.
    Raises NotWrittenError, and then leaves an earlier file as it was.
    """
    tensors: dict[str, Tensor] = dict(random)
    for name, tensor in _state(model, optimizer):
        whole = whole_tensor(tensor)
        if on_main_process():
            tensors[name] = whole.cpu()
    if on_main_process():
        write_tensors(path, tensors, {"progress": json.dumps(asdict(progress))})


def _state(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> Iterator[tuple[str, Tensor]]:
    """Yield the names in the file and their tensors, which may be sharded."""
    for name, parameter in trainable(model).items():
        yield f"parameter/{name}", parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items() if optimizer is not None else ():
            yield f"optimizer/{key}/{name}", value


def read_progress(path: Path, identity: str) -> Progress | None:
    """Return how far the run has come; None where there is no checkpoint of this very run.

    Raises InputError where the file is damaged.
    """
    if not path.exists():
        return None
    progress, _ = _read(path, False)
    return progress if progress.identity == identity else None


def restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Put parameters, moments and random state back. Raises InputError where the file is damaged."""
    tensors = _read(path, True)[1]
    random_state.restore(tensors)
    put_parameters(model, tensors)
    if optimizer is None:
        return
    parameters = trainable(model)
    state: dict[Tensor, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            _, moment, name = key.split("/", 2)
            parameter = parameters[name]
            # Fused AdamW counts its steps on the device of its moments. What was read is a view of the file, so it is
            # copied: else the file would keep its place on the disk after the next checkpoint has replaced it.
            own = tensor.to(parameter.device, copy=True)
            state.setdefault(parameter, {})[moment] = own if moment == "step" else sharded_like(own, parameter)
    optimizer.state.clear()
    optimizer.state.update(state)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all. Raises NotWrittenError."""
    ready = {key: value.contiguous().cpu() for key, value in tensors.items()}
    with writing(path):
        write_bytes(path, save(ready, metadata=metadata))


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
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(sharded_like(tensors[f"parameter/{name}"], parameter))


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Remove the half-written copies of these files that a kill has left beside them."""
    for name in names:
        for partial in folder.glob(f".{name}.*.partial"):
            partial.unlink(missing_ok=True)


def _read(path: Path, everything: bool) -> tuple[Progress, dict[str, Tensor]]:
    try:
        metadata, tensors = read_tensors(path, everything)
        found = json.loads(metadata["progress"])
        checks = tuple(Check(**check) for check in found.pop("checks"))
        reason = found.pop("stopped")
        stopped = None if reason is None else StopReason(reason)
        return Progress(**found, checks=checks, stopped=stopped), tensors
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); delete it to start afresh") from error
