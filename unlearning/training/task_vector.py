"""Task arithmetic: the change of the weights by training (a task vector) is taken with another factor.

    weights = start + scale * (trained - start)

With scale -1 a model moves away from what it was trained on (Ilharco et al. 2022, arXiv 2212.04089). No second model is
held in memory: adapters are scaled themselves; of whole weights, the start of those that may move is kept in a file.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from unlearning.artefacts import write_folder
from unlearning.context import on_main_process

WEIGHTS = "weights.safetensors"


@contextmanager
def scaled_update(model: nn.Module, run_dir: Path, scale: float) -> Iterator[None]:
    """While open, training may change the parameters that may move; then scale the change. 1 does and writes nothing.

    The start is the weights when this is opened, so it must be opened before an earlier attempt's checkpoint is loaded.
    The file with the start is always removed afterwards. On several devices only the main process scales, because it
    alone goes on with the model.
    """
    if scale == 1 or not on_main_process():
        yield
        return
    folder = run_dir / "start"
    try:
        keep_start(model, folder)
        yield
        scale_update(model, folder, scale)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep_start(model: nn.Module, folder: Path) -> None:
    """Write the parameters that may move to folder/weights.safetensors, whole or not at all. Adapters need no file."""
    if _has_adapters(model):
        return
    start = {name: parameter.detach().contiguous() for name, parameter in _moving(model).items()}
    write_folder(folder, lambda partial: save_file(start, partial / WEIGHTS))


def scale_update(model: nn.Module, folder: Path, scale: float) -> None:
    """Replace each parameter that may move by start + scale * (trained - start), computed at least in float32.

    Adapters change W by B @ A, starting from zero, so only B is multiplied.
    """
    moving = _moving(model)
    with torch.no_grad():
        if _has_adapters(model):
            for name, parameter in moving.items():
                if ".lora_B." in name:
                    parameter.mul_(scale)
            return
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            for name, parameter in moving.items():
                wide = torch.promote_types(parameter.dtype, torch.float32)
                start = file.get_tensor(name).to(parameter.device, wide)
                parameter.copy_(start + scale * (parameter.to(wide) - start))


def _moving(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _has_adapters(model: nn.Module) -> bool:
    from peft import PeftModel

    return isinstance(model, PeftModel)
