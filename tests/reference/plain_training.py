"""Plain restatements of the two seed systems, from their descriptions: one row at a time, all logits.

Shares nothing with the library but the rows' token ids.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel

Tokens = tuple[tuple[int, ...], int]
"""Token ids, and the first position that carries a loss."""


def row_loss(model: PreTrainedModel, row: Tokens) -> torch.Tensor:
    """Token-mean cross-entropy of one row by itself."""
    ids, start = row
    logits = model(input_ids=torch.tensor([ids])).logits[0]
    total = torch.zeros((), dtype=logits.dtype)
    for position in range(start, len(ids)):
        total = total - torch.log_softmax(logits[position - 1], dim=-1)[ids[position]]
    return total / (len(ids) - start)


def sugd(
    model: PreTrainedModel,
    forget: Sequence[Tokens],
    retain: Sequence[Tokens],
    *,
    chunk: int,
    ratio: int,
    factor: float,
    batch: int,
    lr: float,
    epochs: int,
    max_steps: int,
) -> list[float]:
    """AILS-NTUA: a new optimiser and linear schedule a chunk, retain rows cyclic, one mean over the batch; losses."""
    losses: list[float] = []
    position = 0
    for start in range(0, len(forget), chunk):
        rows: list[tuple[float, Tokens]] = []
        for row in forget[start : start + chunk]:
            rows.append((-1.0, row))
            for _ in range(ratio):
                rows.append((factor, retain[position % len(retain)]))
                position += 1
        batches = [rows[i : i + batch] for i in range(0, len(rows), batch)] * epochs
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)
        schedule = LambdaLR(optimizer, partial(_linear, len(batches)))
        for part in batches:
            if len(losses) == max_steps:
                return losses
            loss = torch.stack([weight * row_loss(model, row) for weight, row in part]).mean()
            losses.append(_update(model, optimizer, schedule, loss))
    return losses


def joint(
    model: PreTrainedModel,
    steps: Sequence[tuple[int, Sequence[Tokens], Sequence[Tokens]]],
    *,
    lr: float,
) -> tuple[list[float], list[float]]:
    """SHA256: -CE_forget + alpha CE_retain over given (epoch, forget rows, retain rows); losses and alphas."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)
    schedule = LambdaLR(optimizer, lambda step: (len(steps) - step) / len(steps))
    losses, alphas, first_epoch = [], [], []
    for epoch, forget, retain in steps:
        loss = torch.zeros((), dtype=torch.float64)
        alpha = 1.2
        if retain:
            retain_loss = torch.stack([row_loss(model, row) for row in retain]).mean()
            if epoch == 0:
                first_epoch.append(retain_loss.item())
            else:
                rise = retain_loss.item() - sum(first_epoch) / len(first_epoch)
                if rise > 0:
                    alpha = min(max(0.3 * 6.0**rise + 0.8, 1.2), 2.8)
            loss = loss + alpha * retain_loss
        if forget:
            loss = loss - torch.stack([row_loss(model, row) for row in forget]).mean()
        alphas.append(alpha)
        losses.append(_update(model, optimizer, schedule, loss))
    return losses, alphas


def _linear(total: int, step: int) -> float:
    return (total - step) / total


def _update(model: PreTrainedModel, optimizer: torch.optim.Optimizer, schedule: LambdaLR, loss: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    schedule.step()
    return loss.item()
