"""How much a training run writes, compared with what its disk has, before the first step."""

import shutil
from pathlib import Path

from torch import nn

from unlearning.errors import InputError
from unlearning.training.checkpoint import CHECKPOINT

MOMENTS = 2
"""Tensors that AdamW keeps for each trained tensor, in its type."""
GIB = 2**30


def require_disk_space(run_dir: Path, model: nn.Module, keep_best: bool) -> None:
    """Refuse a run whose disk is too small. Call before weights are sharded, on the main process.

    A run writes the trained weights and their moments, twice, since a checkpoint is written beside the one before; the
    best weights, twice, with `keep_best`; and all weights as its result. Raises InputError.
    """
    trained = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
    checkpoints = 2 * (1 + MOMENTS) * trained + (2 * trained if keep_best else 0)
    result = sum(weight.nbytes for weight in model.parameters())
    run_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(run_dir).free + _bytes_in(run_dir / CHECKPOINT)
    if free < checkpoints + result:
        raise InputError(
            f"{run_dir}: {free / GIB:.1f} GiB of its disk are free, and the run writes up to "
            f"{(checkpoints + result) / GIB:.1f} GiB ({checkpoints / GIB:.1f} of checkpoints, {result / GIB:.1f} of "
            "weights); free some of it, or choose a folder on another disk with hydra.run.dir=FOLDER"
        )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
