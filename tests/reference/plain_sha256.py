"""SHA256's joint loss, as the paper has it and as the released code has it.

Paper: arXiv 2504.12996; code: LAB-FLAIR/Constrained-Unlearning-for-LLM, unlearn.py. Both left-padded, forget and retain
rows in forward passes of their own.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.reference.plain_training import PlainTrainer, Tokens, cut, row_means, token_mean

Mixed = tuple[bool, Tokens]
"""Whether a row is to be forgotten, and the row."""


@dataclass
class Curve:
    """The numbers that are recorded of each step."""

    losses: list[float] = field(default_factory=list)
    retain_weights: list[float] = field(default_factory=list)
    """Of a step; the mean of its micro-batches'."""
    multipliers: list[float] = field(default_factory=list)
    """Of each micro-batch, where steps are made of several."""
    gradient_norms: list[float] = field(default_factory=list)
    """Before clipping; of the released code alone."""
    checks: list[tuple[int, float]] = field(default_factory=list)
    """Steps made before each check, and the loss that it found; of the released code alone."""


def joint_as_published(
    model: PreTrainedModel, epochs: Sequence[Sequence[Mixed]], *, batch: int, lr: float, max_steps: int
) -> Curve:
    """Train by -CE of forget rows + alpha CE of retain rows, each a mean over rows of their token means.

    alpha = 0.3 * 6^d + 0.8 between 1.2 and 2.8, where d is how far the step's retain loss is above the mean of the
    first epoch's; 1.2 in the first epoch, and where d is not above 0.
    """
    batches = [(number, part) for number, rows in enumerate(epochs) for part in cut(rows, batch)]
    trainer = PlainTrainer(model, lr, len(batches))
    curve, first_epoch = Curve(), []
    for epoch, part in batches[:max_steps]:
        forget, retain = _apart(part)
        alpha = 1.2
        total: Tensor | float = 0.0
        if forget:
            total = total - row_means(model, forget, "left").mean()
        if retain:
            loss = row_means(model, retain, "left").mean()
            if epoch == 0:
                first_epoch.append(loss.item())
            else:
                rise = loss.item() - sum(first_epoch) / len(first_epoch)
                if rise > 0:
                    alpha = min(max(0.3 * 6.0**rise + 0.8, 1.2), 2.8)
            total = total + alpha * loss
        assert isinstance(total, Tensor)
        curve.losses.append(trainer.backward(total))
        trainer.step()
        curve.retain_weights.append(alpha)
    return curve


class Released:
    """The released trainer, under the version of Transformers that its requirements.txt pins, 4.49.0.

    That version calls compute_loss with an argument that the released method lacks, num_items_in_batch, and stops there
    (trainer.py:3698); what follows is what both do once the method takes it and leaves it unused. Numbers of lines are
    those of LAB-FLAIR/Constrained-Unlearning-for-LLM, commit 61e0ab0, and of transformers 4.49.0.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.loss_sum, self.examples = 0.0, 0
        self.curve = Curve()

    def train(
        self,
        epochs: Sequence[Sequence[Mixed]],
        check: Sequence[Mixed],
        *,
        micro: int,
        accumulate: int,
        lr: float,
        every: int,
        check_batch: int,
    ) -> Curve:
        """Train, check every so many steps, and give the model the weights of the best check (unlearn.py:296-326).

        An epoch's batches are taken `accumulate` at a time, at its end those that are left (trainer.py:2489-2500), but
        all epochs together have only as many steps as the whole ones are (trainer.py:5220-5223), and training ends
        there (trainer_callback.py:604). The linear decay is over these steps.
        """
        epochs_of_batches = [cut(rows, micro) for rows in epochs]
        total = sum(max(len(batches) // accumulate, 1) for batches in epochs_of_batches)
        trainer = PlainTrainer(self.model, lr, total)
        best, best_weights, done = float("inf"), None, 0
        for epoch, batches in enumerate(epochs_of_batches):
            _require_all_fetched(len(epochs[epoch]), len(batches), accumulate)
            groups = cut(batches, accumulate)
            for number, group in enumerate(groups[: total - done]):
                self._step(trainer, group, epoch)
                done += 1
                if done % every == 0:  # and never after the last step for its own sake (trainer_callback.py:587-593)
                    # int(state.epoch): an epoch is over with its last batch (unlearn.py:204, trainer.py:2610).
                    value = self._check(cut(check, check_batch), epoch + (number == len(groups) - 1))
                    self.curve.checks.append((done, value))
                    if value < best:  # trainer.py:3160-3171
                        best, best_weights = value, deepcopy(self.model.state_dict())
        if best_weights is not None:
            self.model.load_state_dict(best_weights)
        return self.curve

    def _step(self, trainer: PlainTrainer, group: Sequence[Sequence[Mixed]], epoch: int) -> None:
        """Add the gradients of all batches, undivided, and clip their sum.

        The Trainer divides by the number of batches only where the model's forward takes no **kwargs (trainer.py:
        633-638, 3732); OLMo's does (modeling_olmo.py:777), and compute_loss does not divide either.
        """
        losses, multipliers = [], []
        for batch in group:
            loss, multiplier = self._loss(batch, epoch)
            losses.append(trainer.backward(loss))
            multipliers.append(multiplier)
        self.curve.losses.append(sum(losses))
        self.curve.gradient_norms.append(trainer.step())
        self.curve.multipliers += multipliers
        self.curve.retain_weights.append(sum(multipliers) / len(multipliers))

    def _check(self, batches: Sequence[Sequence[Mixed]], epoch: int) -> float:
        """Return the mean over batches, by their numbers of rows, of the loss that training has.

        A batch's loss is repeated for a whole batch (trainer.py:4310); of the last one only as often as it has rows,
        since gather_for_metrics keeps so many values of it (accelerate 1.5.2).
        """
        with torch.no_grad():
            losses = [float(self._loss(batch, epoch)[0]) * len(batch) for batch in batches]
        return sum(losses) / sum(map(len, batches))

    def _loss(self, batch: Sequence[Mixed], epoch: int) -> tuple[Tensor, float]:
        """Return -CE of forget rows + multiplier * CE of retain rows, and the multiplier (unlearn.py:152-228).

        Each CE is the mean over all output tokens of the batch's rows of that set. The reference is the sum of the
        first epoch's losses, also those of checks, over the number of their retain rows (unlearn.py:206-209).
        """
        forget, retain = _apart(batch)
        multiplier = 1.2
        total = torch.zeros((), dtype=self.model.dtype)
        if forget:
            total = total - token_mean(self.model, forget, "left")
        if retain:
            loss = token_mean(self.model, retain, "left")
            if epoch == 0:
                self.loss_sum += loss.item()
                self.examples += len(retain)
            elif loss.item() > self.loss_sum / self.examples:
                change = loss.item() - self.loss_sum / self.examples
                multiplier = min(max(round(0.3 * 6**change + 0.8, 1), 1.2), 2.3)
            total = total + multiplier * loss
        return total, multiplier


def _require_all_fetched(rows: int, batches: int, accumulate: int) -> None:
    """Raise ValueError where the Trainer would leave the end of an epoch out.

    Its last fetch asks for rows % accumulate batches, or accumulate where that is 0 (trainer.py:2489-2499), though it
    is batches that are left. With the task's data these are never fewer than are left.
    """
    if batches % accumulate > (rows % accumulate or accumulate):
        raise ValueError(f"{rows} rows in {batches} batches: their end carries over into the next epoch")


def _apart(rows: Sequence[Mixed]) -> tuple[list[Tokens], list[Tokens]]:
    return [row for is_forget, row in rows if is_forget], [row for is_forget, row in rows if not is_forget]
