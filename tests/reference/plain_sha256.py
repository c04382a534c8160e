"""SHA256's joint loss, as the paper has it and as the released code has it.

Paper: arXiv 2504.12996; code: LAB-FLAIR/Constrained-Unlearning-for-LLM, unlearn.py. Both left-padded, forget and retain
rows in forward passes of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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


def joint_as_released(
    model: PreTrainedModel, epochs: Sequence[Sequence[Mixed]], *, micro: int, accumulate: int, lr: float, max_steps: int
) -> Curve:
    """Train as published, but for what the released code does otherwise.

    A loss is the mean over all tokens of a micro-batch's forget, or retain, rows; alpha is a micro-batch's own, rounded
    to a tenth and at most 2.3; the reference is the sum of the first epoch's micro-batch losses over the number of its
    retain rows. A step is the mean of `accumulate` micro-batches, of fewer at an epoch's end.
    """
    steps = [(number, group) for number, rows in enumerate(epochs) for group in cut(cut(rows, micro), accumulate)]
    trainer = PlainTrainer(model, lr, len(steps))
    curve = Curve()
    loss_sum, examples = 0.0, 0
    for epoch, group in steps[:max_steps]:
        curve.losses.append(0.0)
        for forget, retain in map(_apart, group):
            multiplier = 1.2
            total: Tensor | float = 0.0
            if forget:
                total = -token_mean(model, forget, "left")
            if retain:
                loss = token_mean(model, retain, "left")
                if epoch == 0:
                    loss_sum += loss.item()
                    examples += len(retain)
                elif loss.item() > loss_sum / examples:
                    change = loss.item() - loss_sum / examples
                    multiplier = min(max(round(0.3 * 6**change + 0.8, 1), 1.2), 2.3)
                total = total + multiplier * loss
            assert isinstance(total, Tensor)
            curve.losses[-1] += trainer.backward(total, len(group))
            curve.multipliers.append(multiplier)
        trainer.step()
        curve.retain_weights.append(sum(curve.multipliers[-len(group) :]) / len(group))
    return curve


def _apart(rows: Sequence[Mixed]) -> tuple[list[Tokens], list[Tokens]]:
    return [row for is_forget, row in rows if is_forget], [row for is_forget, row in rows if not is_forget]
