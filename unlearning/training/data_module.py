"""Lightning's access to the remaining steps of a plan; each device gets its share."""

from collections.abc import Sequence
from dataclasses import replace

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from unlearning.schedules.plan import PlanStep
from unlearning.training.step_data import MicroBatch, StepData, StepLayout, StepPart, TrainingRows
from unlearning.training.step_dataset import StepDataset


class PlanDataModule(pl.LightningDataModule):
    """The steps of a plan from `start` on."""

    def __init__(self, rows: TrainingRows, layout: StepLayout, plan: Sequence[PlanStep], start: int) -> None:
        super().__init__()
        self.rows, self.layout, self.plan, self.start = rows, layout, plan, start

    def train_dataloader(self) -> DataLoader[StepData]:
        """Return a loader of one item a step; the plan is already in batches and in order."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        dataset = StepDataset(self.plan, self.rows, self.layout, self.start, rank, world)
        return DataLoader(dataset, batch_size=None, num_workers=0)

    def transfer_batch_to_device(self, batch: StepData, device: torch.device, dataloader_idx: int) -> StepData:  # noqa: ARG002
        """Return the step with its tensors on the device."""
        return to_device(batch, device)


def to_device(step: StepData, device: torch.device) -> StepData:
    """Return the step with its tensors on the device."""

    def moved(part: MicroBatch) -> MicroBatch:
        return replace(
            part,
            packs=part.packs.to(device),
            roles=part.roles.to(device),
            row_tokens=part.row_tokens.to(device),
        )

    def moved_part(part: StepPart) -> StepPart:
        first, rest = tuple(map(moved, part.retain_first)), tuple(map(moved, part.rest))
        return replace(part, retain_first=first, rest=rest)

    return StepData(step.index, step.step, tuple(map(moved_part, step.parts)), step.tokens)
