"""Checks, before anything slow, that this computer has what the configuration asks for."""

import shutil

import torch

from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError


def require_hardware(config: TrainerConfig) -> None:
    """Raise InputError where a GPU, enough GPUs or a compiler are missing, and for settings that fsdp refuses."""
    cuda = torch.cuda.is_available()
    on_gpu = config.accelerator != "cpu" and (cuda or torch.backends.mps.is_available())
    if config.accelerator == "gpu" and not on_gpu:
        raise InputError("trainer.accelerator=gpu: no GPU was found here; choose trainer=auto")
    if cuda and on_gpu and config.devices != "auto":
        devices = torch.cuda.device_count()
        if int(config.devices) > devices:
            raise InputError(f"trainer.devices={config.devices}: this computer has {devices} of them")
    if config.strategy == "fsdp":
        _require_shardable(config, on_gpu and not cuda)
    if config.compile and not on_gpu and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise InputError(
            "trainer.compile=true: needs a C++ compiler, and none was found here; choose trainer.compile=false"
        )


def one_device(config: TrainerConfig) -> torch.device:
    """Return the device on which one process runs a model without training it."""
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def _require_shardable(config: TrainerConfig, on_other_gpu: bool) -> None:
    if on_other_gpu:
        raise InputError(
            "trainer.strategy=fsdp: shards over CUDA devices or CPU processes; choose trainer.strategy=auto"
        )
    if config.prefix_cache_gib:
        raise InputError(
            f"trainer.prefix_cache_gib={config.prefix_cache_gib:g}: must be 0 with trainer.strategy=fsdp, "
            "whose devices all run the same layers"
        )
