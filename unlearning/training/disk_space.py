"""How much a training run writes, compared with what its disk has, before the first step."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from unlearning.artefacts import bytes_in
from unlearning.config.stopping import StoppingConfig
from unlearning.errors import InputError
from unlearning.training.checkpoint import CHECKPOINT

MOMENTS = 2
"""Tensors that AdamW keeps for each trained tensor, in its type."""
GIB = 2**30


@dataclass(frozen=True)
class DiskNeed:
    """The most bytes that a run has on disk."""

    checkpoints: int
    """The trained weights and their moments, twice, since a checkpoint is written beside the one before; and the best
    weights, twice, where they are kept."""
    result: int
    """All weights."""

    @property
    def total(self) -> int:
        """Bytes of both."""
        return self.checkpoints + self.result


def disk_need(model: nn.Module, keep_best: bool) -> DiskNeed:
    """Return what a run of a model writes; the model's weights need not be there, but must not be sharded."""
    trained = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
    checkpoints = 2 * (1 + MOMENTS) * trained + (2 * trained if keep_best else 0)
    return DiskNeed(checkpoints, sum(weight.nbytes for weight in model.parameters()))


def require_disk_space(run_dir: Path, model: nn.Module, keep_best: bool) -> None:
    """Refuse a run whose disk is too small, with an InputError. Call it on the main process."""
    require_free(run_dir, disk_need(model, keep_best))


def require_free(run_dir: Path, need: DiskNeed) -> None:
    """Raise InputError where the disk of the run's folder has less room than the run needs."""
    run_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(run_dir).free + bytes_in(run_dir / CHECKPOINT)
    if free < need.total:
        raise InputError(
            f"{run_dir}: {free / GIB:.3g} GiB of its disk are free, and the run writes up to "
            f"{need.total / GIB:.3g} GiB ({need.checkpoints / GIB:.3g} of checkpoints, {need.result / GIB:.3g} of "
            "weights); free some of it, or choose a folder on another disk with hydra.run.dir=FOLDER"
        )


def keeps_best(stopping: StoppingConfig) -> bool:
    """Return whether the best weights are written at checks."""
    return stopping.keep_best and stopping.check_every_steps is not None
