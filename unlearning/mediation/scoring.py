"""How well a model gives answers that are already in its input."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from unlearning.mediation.hooks import projected_at
from unlearning.mediation.open_model import OpenModel
from unlearning.mediation.subject import Probe

Cells = tuple[Tensor, Tensor, Tensor]
"""Of every answer token (N,): its row, the position that predicts it, the token."""


def answer_logits(
    opened: OpenModel, ids: Tensor, cells: Cells, cache: DynamicCache | None = None, offset: int = 0
) -> Tensor:
    """Logits (N, vocabulary), float32 or better, at the cells of tokens (B, T) whose first one is at `offset`.

    More rows than B may be named if hooks let some join (`hooks.grown`). No attention mask is given: shorter rows
    are filled up at the end, where a causal model's answers cannot see it.
    """
    rows, positions, _ = cells
    with projected_at(opened.head, rows, positions - offset):
        output = opened.model(input_ids=ids.to(opened.device), past_key_values=cache, use_cache=cache is not None)
    logits: Tensor = output.logits[0]
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def answer_cells(probes: Sequence[Probe]) -> Cells:
    """Of all the probes' answers, a row a probe."""
    rows, positions, tokens = [], [], []
    for row, probe in enumerate(probes):
        for place, token in enumerate(probe.answer):
            rows.append(row)
            positions.append(probe.answer_start - 1 + place)
            tokens.append(token)
    return torch.tensor(rows), torch.tensor(positions), torch.tensor(tokens)


def answer_scores(logits: Tensor, cells: Cells, probes: Sequence[Probe]) -> Tensor:
    """Scores (rows, M) of logits (N, vocabulary) at `answer_cells(probes)`, in the order of `METRICS`.

    With l_i the log-probability of the answer's token i: exp(l_1), l_1, the difference of two logits where the answer
    and the foil's first differ (NaN without a foil), and the mean of all l_i. On the logits' device, with gradients.
    """
    rows, tokens = (item.to(logits.device) for item in (cells[0], cells[2]))
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    logs = chosen - logits.logsumexp(-1)
    counts = [len(probe.answer) for probe in probes]
    first = torch.tensor([0, *counts[:-1]]).cumsum(0).to(logits.device)
    sums = logs.new_zeros(len(probes)).index_add(0, rows, logs)
    mean = sums / torch.tensor(counts, device=logits.device)
    contrasts = [probe.contrast or (0, probe.answer[0]) for probe in probes]
    at = first + torch.tensor([place for place, _ in contrasts], device=logits.device)
    foils = torch.tensor([token for _, token in contrasts], device=logits.device)
    has_foil = torch.tensor([probe.contrast is not None for probe in probes], device=logits.device)
    difference = torch.where(has_foil, chosen[at] - logits[at, foils], torch.nan)
    return torch.stack([logs[first].exp(), logs[first], difference, mean], dim=-1)
