"""What the plain restatements of the published systems share: a loop as the Hugging Face Trainer runs it.

Padded batches, labels of -100, torch.optim.AdamW, LambdaLR. Nothing in common with the library but the rows' token ids.
"""

from collections.abc import Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

Tokens = tuple[tuple[int, ...], int]
"""Token ids, and the first position that carries a loss."""
Side = Literal["left", "right"]
T = TypeVar("T")
IGNORED = -100
PAD = 0


def padded(rows: Sequence[Tokens], side: Side, multiple: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return token ids, attention mask and labels, each (R, T): prompt and padding have the label -100."""
    longest = max(len(ids) for ids, _ in rows)
    width = -(-longest // multiple) * multiple
    columns: tuple[list[list[int]], ...] = ([], [], [])
    for ids, start in rows:
        values = (list(ids), [1] * len(ids), [IGNORED] * start + list(ids[start:]))
        for column, value, filler in zip(columns, values, (PAD, 0, IGNORED), strict=True):
            padding = [filler] * (width - len(ids))
            column.append(padding + value if side == "left" else value + padding)
    ids, mask, labels = (torch.tensor(column) for column in columns)
    return ids, mask, labels


def token_losses(
    model: PreTrainedModel, rows: Sequence[Tokens], side: Side, multiple: int = 1
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of every position (R, T - 1), zero without a label; and where there is one."""
    ids, mask, labels = padded(rows, side, multiple)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    labels = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED)
    return losses, labels != IGNORED


def row_means(model: PreTrainedModel, rows: Sequence[Tokens], side: Side, multiple: int = 1) -> Tensor:
    """Return (R,) the mean over each row's own tokens."""
    losses, asked = token_losses(model, rows, side, multiple)
    return losses.sum(1) / asked.sum(1)


def token_mean(model: PreTrainedModel, rows: Sequence[Tokens], side: Side, multiple: int = 1) -> Tensor:
    """Return the mean over all tokens of all rows, which is the loss of a causal language model of Transformers."""
    losses, asked = token_losses(model, rows, side, multiple)
    return losses.sum() / asked.sum()


class PlainTrainer:
    """One call of `Trainer.train`: its own AdamW, its own linear decay over the given steps, clipping at 1."""

    def __init__(self, model: PreTrainedModel, lr: float, steps: int) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=lr, weight_decay=0.0)
        self.schedule = LambdaLR(self.optimizer, lambda step: (steps - step) / steps)
        self.optimizer.zero_grad()

    def backward(self, loss: Tensor, accumulated: int = 1) -> float:
        """Add the gradient of one of the losses that make a step, and return its share of the step's loss."""
        (loss / accumulated).backward()
        return loss.item() / accumulated

    def step(self) -> float:
        """Move the weights by the accumulated gradient, and return its norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return float(norm)


def cut(rows: Sequence[T], size: int) -> list[list[T]]:
    """Return batches in order; the last one may be smaller."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]
