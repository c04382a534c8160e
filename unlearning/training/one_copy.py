"""One copy of the weights in a computer's memory, however many of its processes train them.

The process that starts the others for training loads the weights into it. With ddp, each of the others loads them onto
its GPU. With fsdp, it builds the model without values, and gets those of each layer when it is sharded
(`sharding.Shards`). Processes that train on the CPU with ddp share what is read from files and not changed
(`models.load`), and nothing else.
"""

import os

import torch
from torch import nn

from unlearning.config.trainer import TrainerConfig
from unlearning.models.weights_hash import weights_hash

HASH = "UNLEARNING_WEIGHTS_HASH"
"""Environment variable in which a process tells those that it starts for training which weights it has loaded."""


def loading_device(config: TrainerConfig) -> torch.device | None:
    """Return the device that this process loads the target model to; None: the CPU."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank == 0 or HASH not in os.environ:
        return None
    if config.strategy == "fsdp":
        return torch.device("meta")
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", local_rank) if on_gpu else None


def has_no_values(model: nn.Module) -> bool:
    """Return whether the weights are on the meta device."""
    return any(parameter.is_meta for parameter in model.parameters())


def loaded_weights_hash(model: nn.Module) -> str:
    """Return `weights_hash` of the model as it was loaded, also in a process that has none of its values."""
    if has_no_values(model):
        return os.environ[HASH]
    found = weights_hash(model)
    os.environ[HASH] = found
    return found
