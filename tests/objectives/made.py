"""Rows made by hand, with chosen cross-entropies of their tokens, and the losses of an objective on them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unlearning.objectives.base import Objective, SetSize
from unlearning.objectives.rows import Reference, Rows

LOG2 = 0.6931471805599453
Nats = Sequence[Sequence[float]]
"""Cross-entropies of rows, token by token."""


def logits_of(probabilities: Sequence[Sequence[float]]) -> Tensor:
    """Return (n, V) float64 logits with these probabilities; each row is shifted by its number, which has no effect."""
    logs = torch.tensor(probabilities, dtype=torch.float64).log()
    return (logs + torch.arange(len(logs)).unsqueeze(-1)).requires_grad_()


def logits_with(nats: Sequence[float]) -> Tensor:
    """Return (n, 2) logits (0, log(e^v - 1)), so that the cross-entropy of token 0 is v."""
    v = torch.tensor(nats, dtype=torch.float64)
    return torch.stack([torch.zeros_like(v), torch.expm1(v).log()], dim=-1).requires_grad_()


def owners_of(nats: Nats) -> Tensor:
    """Return (N,) each token's row."""
    return torch.tensor([row for row, tokens in enumerate(nats) for _ in tokens])


def rows_with(values: Nats, reference: Nats | None = None) -> Rows:
    """Return rows whose values are these cross-entropies, with gradient."""
    flat = torch.tensor([value for row in values for value in row], dtype=torch.float64, requires_grad=True)
    known = None if reference is None else torch.tensor([v for row in reference for v in row], dtype=torch.float64)
    return Rows(flat, flat.detach(), owners_of(values), len(values), known)


def rows_from(
    objective: Objective,
    logits: Tensor,
    targets: Sequence[int],
    owners: Sequence[int],
    reference: Reference | None = None,
    reference_nats: Tensor | None = None,
) -> Rows:
    """Return forget rows as training makes them, from logits (N, V)."""
    found = objective.forget_values_and_nats(logits, torch.tensor(targets), reference or Reference())
    return Rows(*found, torch.tensor(owners), max(owners) + 1, reference_nats)


def forget_rows(objective: Objective, nats: Nats) -> Rows:
    """Return forget rows with these cross-entropies."""
    flat = [value for row in nats for value in row]
    return rows_from(objective, logits_with(flat), [0] * len(flat), owners_of(nats).tolist())


def retain_rows(objective: Objective, nats: Nats) -> Rows:
    """Return retain rows with these cross-entropies, of a model that has not moved."""
    logits = logits_with([value for row in nats for value in row])
    targets = torch.zeros(len(logits), dtype=torch.long)
    found = objective.retain_values_and_nats(logits, targets, Reference(outputs=logits.detach()))
    return Rows(*found, owners_of(nats), len(nats))


def step_loss(objective: Objective, forget: Nats, retain: Nats) -> float:
    """Return the loss of a step by the base class's formula."""
    sizes = [SetSize(len(rows), sum(map(len, rows))) for rows in (forget, retain)]
    by_forget, by_retain = objective.denominators(*sizes)
    for_forget, for_retain = objective.weights(None, True)
    forget_units = objective.row_units(torch.tensor([float(len(row)) for row in forget]))
    retain_units = objective.row_units(torch.tensor([float(len(row)) for row in retain]))
    forget_terms = objective.bounded_forget_terms(forget_rows(objective, forget), None)
    retain_terms = objective.retain_terms(retain_rows(objective, retain))
    first = for_forget / by_forget * (forget_units * forget_terms).sum()
    second = for_retain / by_retain * (retain_units * retain_terms).sum()
    return (first + second).item()


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    """Return the gradient of the loss in a tensor."""
    return torch.autograd.grad(loss, of)[0]


def ascent(probabilities: Tensor, targets: Sequence[int]) -> Tensor:
    """Return the gradient of -CE in the logits, token by token: onehot - q, (n, V)."""
    own: Tensor = torch.nn.functional.one_hot(torch.tensor(targets), probabilities.shape[-1])
    return own - probabilities
