"""The states of the random number generators on all devices, so that dropout goes on where it stopped."""

from collections.abc import Mapping

import torch
from torch import Tensor

CPU, CUDA = "random/cpu", "random/cuda"


def collect() -> dict[str, Tensor]:
    """Return the states of all processes, by a name and the process's rank: the CPU's, and its GPU's.

    To be called on all devices together.
    """
    own = {CPU: torch.get_rng_state()}
    if torch.cuda.is_available():
        own[CUDA] = torch.cuda.get_rng_state()
    states = [own]
    if _distributed():
        states = [{} for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather_object(states, own)
    return {f"{name}/{rank}": state for rank, found in enumerate(states) for name, state in found.items()}


def restore(tensors: Mapping[str, Tensor]) -> None:
    """Put back what `collect` returned, on one device; do nothing where there is no state.

    A device that the earlier attempt did not have takes the state of the first.
    """
    rank = torch.distributed.get_rank() if _distributed() else 0
    on_cpu, on_gpu = (tensors.get(f"{name}/{rank}", tensors.get(f"{name}/0")) for name in (CPU, CUDA))
    if on_cpu is not None:
        torch.set_rng_state(on_cpu)
    if on_gpu is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(on_gpu)


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
