"""Whether this computer has what the configuration asks for, known before anything slow."""

import torch

from unlearning.config import TrainerConfig
from unlearning.errors import InputError


def require_hardware(config: TrainerConfig) -> None:
    """Raise InputError for a GPU, or a number of them, that is not there, and for sharding without GPUs."""
    cuda = torch.cuda.is_available()
    found = cuda or torch.backends.mps.is_available()
    if config.accelerator == "gpu" and not found:
        raise InputError("trainer.accelerator=gpu: no GPU was found here; trainer=auto takes what there is")
    if config.strategy == "fsdp" and (config.accelerator == "cpu" or not cuda):
        raise InputError("trainer.strategy=fsdp: shards over CUDA devices, and none is used here; choose auto or ddp")
    if cuda and config.accelerator != "cpu" and config.devices != "auto":
        devices = torch.cuda.device_count()
        if int(config.devices) > devices:
            raise InputError(f"trainer.devices={config.devices}: this computer has {devices} of them")
