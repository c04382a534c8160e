"""The training steps of the seed systems, written for Hugging Face's Trainer: the plain side of `benchmarks.step`.

Right padding to a multiple of 8, all logits of the batch, labels shifted rather than logits, so that these are not
copied. Gradient difference is one forward pass (AILS-NTUA, arXiv 2503.02443); the joint loss has one for the forget
rows and one for the retain rows of a batch, and its adaptive weight as released (SHA256, arXiv 2504.12996). Shares
nothing with the library but the rows' token ids and what a step holds.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

IGNORED = -100
MULTIPLE = 8


@dataclass(frozen=True)
class PlainRow:
    """One row of training, in the order in which rows are trained."""

    ids: tuple[int, ...]
    supervised_from: int
    forget: bool
    epoch: int


@dataclass(frozen=True)
class PlainMethod:
    """The loss, which is `joint` or gradient difference, and the settings of the Trainer."""

    joint: bool
    batch_rows: int
    accumulate: int
    lr: float
    decay_steps: int
    """Steps in which the learning rate falls to 0, also where only the first of them are made."""
    pad: int


class PlainTrainer(Trainer):
    """A Trainer of gradient difference with retain factor 0.5, or of the joint loss with its adaptive weight."""

    def __init__(self, method: PlainMethod, **settings: Any) -> None:
        super().__init__(**settings)
        self.method = method
        self.loss_is_scaled_for_ga = False
        self.losses: list[float] = []
        self._sum, self._rows = 0.0, 0

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:  # noqa: ARG002
        """Return the linear decay over the steps of the whole plan."""
        return super().create_scheduler(self.method.decay_steps, optimizer)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,  # noqa: ARG002
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of one batch."""
        loss = self._joint(model, inputs) if self.method.joint else self._gradient_difference(model, inputs)
        self.losses.append(loss.item())
        return loss

    def _gradient_difference(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        losses, shifted = token_losses(model, inputs)
        rows = losses.sum(dim=1) / (shifted != IGNORED).sum(dim=1)
        factors = torch.where(inputs["forget"], -1.0, 0.5)
        return (factors * rows).mean()

    def _joint(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        parts: dict[bool, Tensor] = {}
        for forget in (True, False):
            chosen = inputs["forget"] == forget
            if chosen.any():
                own = {name: inputs[name][chosen] for name in ("input_ids", "attention_mask", "labels")}
                losses, shifted = token_losses(model, own)
                parts[forget] = losses.sum() / (shifted != IGNORED).sum()
        loss = torch.zeros(())
        if True in parts:
            loss = loss - parts[True]
        if False in parts:
            rows = int((~inputs["forget"]).sum())
            loss = loss + self._weight(parts[False].item(), rows, int(inputs["epoch"][0])) * parts[False]
        return loss

    def _weight(self, retain_loss: float, rows: int, epoch: int) -> float:
        if epoch == 0:
            self._sum, self._rows = self._sum + retain_loss, self._rows + rows
            return 1.2
        rise = retain_loss - self._sum / self._rows
        return min(max(round(0.3 * 6**rise + 0.8, 1), 1.2), 2.3) if rise > 0 else 1.2

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002
        assert self.train_dataset is not None
        return SequentialSampler(self.train_dataset)


def token_losses(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of every position (zero without a label) and the labels, both (B, T)."""
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits
    shifted = functional.pad(inputs["labels"], (0, 1), value=IGNORED)[:, 1:]
    losses = functional.cross_entropy(logits.flatten(0, 1), shifted.flatten(), reduction="none")
    return losses.view_as(shifted), shifted


class Clock(TrainerCallback):
    """Notes when each optimiser step ended."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.times = now, list[float]()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time after a step."""
        self.times.append(self.now())


def train_plain(
    model: nn.Module, rows: Sequence[PlainRow], method: PlainMethod, now: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Train once over the rows in their order; return the loss of each step, and its end in seconds by the clock."""

    def padded(batch: Sequence[PlainRow]) -> dict[str, Tensor]:
        return pad_right(batch, method.pad)

    clock, start = Clock(now), now()
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=method.batch_rows,
            gradient_accumulation_steps=method.accumulate,
            num_train_epochs=1,
            learning_rate=method.lr,
            use_cpu=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = PlainTrainer(
            method, model=model, args=settings, train_dataset=rows, data_collator=padded, callbacks=[clock]
        )
        trainer.train()
    count = method.accumulate
    parts = [trainer.losses[first : first + count] for first in range(0, len(trainer.losses), count)]
    return [sum(part) / len(part) for part in parts], [moment - start for moment in clock.times]


def pad_right(batch: Sequence[PlainRow], pad: int) -> dict[str, Tensor]:
    """Return rows padded to the longest one's length, rounded up; labels are the tokens that have a loss."""
    width = -(-max(len(row.ids) for row in batch) // MULTIPLE) * MULTIPLE
    ids = torch.full((len(batch), width), pad)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED)
    for place, row in enumerate(batch):
        length, first = len(row.ids), row.supervised_from
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        labels[place, first:length] = ids[place, first:length]
    forget = torch.tensor([row.forget for row in batch])
    epoch = torch.tensor([row.epoch for row in batch])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "forget": forget, "epoch": epoch}
