"""How well a model gives the answers that stand in its input.

The answer follows the prompt in the input, so one forward pass predicts all tokens of the answer. The hidden states of
the decoder are kept at the positions that predict them, and logits are made for those positions alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.model_parts import ModelParts
from unlearning.models.cache_name import CACHE_NAME
from unlearning.models.projection import DecoderOutput, project
from unlearning.models.token_values import tokens_together

Cells = tuple[Tensor, Tensor, Tensor]
"""For every answer token (N,): its row, the position that predicts it, and the token."""


def answer_states(
    parts: ModelParts, ids: Tensor, cells: Cells, cache: DynamicCache | None = None, offset: int = 0
) -> Tensor:
    """Return the decoder's hidden states (N, width) at the cells, given tokens (B, T) from position `offset` on.

    The cells may name more rows than B if hooks let rows join (`hooks.joining_rows`). No attention mask is given:
    shorter rows are padded at the end, where a causal model cannot see it.
    """
    rows, positions, _ = cells
    found: list[Tensor] = []

    def kept(_module: nn.Module, _inputs: Any, output: Any) -> DecoderOutput:
        hidden = output[0]
        found.append(hidden[rows.to(hidden.device), (positions - offset).to(hidden.device)])
        # A single token is left, so that the model makes hardly any logits.
        return DecoderOutput(hidden[:1, :1])

    with ExitStack() as stack:
        stack.callback(parts.decoder.register_forward_hook(kept).remove)
        parts.model(input_ids=ids.to(parts.device), use_cache=cache is not None, **{CACHE_NAME: cache})
    return found[0]


def logits_of(parts: ModelParts, states: Tensor) -> Iterator[Tensor]:
    """Yield the logits (n, vocabulary), in float32 or better, of states (N, width), a few states at a time."""
    vocabulary = parts.model.config.get_text_config().vocab_size
    for piece in torch.split(states, tokens_together(states.device.type, vocabulary)):
        yield project(parts.model, parts.decoder, piece)


def answer_cells(facts: Sequence[EncodedFact]) -> Cells:
    """Return the cells of all the facts' answers, where each fact has one row."""
    rows, positions, tokens = [], [], []
    for row, fact in enumerate(facts):
        for place, token in enumerate(fact.answer):
            rows.append(row)
            positions.append(fact.answer_start - 1 + place)
            tokens.append(token)
    return torch.tensor(rows), torch.tensor(positions), torch.tensor(tokens)


def answer_scores(parts: ModelParts, states: Tensor, cells: Cells, facts: Sequence[EncodedFact]) -> Tensor:
    """Return the scores (rows, M), in the order of `METRICS`, of states (N, width) at `answer_cells(facts)`.

    With l_i the log-probability of the answer's token i, the scores are: exp(l_1); l_1; the logit of the answer's token
    minus that of the foil's where the two answers first differ (NaN without a foil); and the mean of all l_i. They are
    on the states' device and keep their gradients.
    """
    device = states.device
    rows, tokens = cells[0].to(device), cells[2].to(device)
    counts = torch.tensor([len(fact.answer) for fact in facts], device=device)
    first = counts.cumsum(0) - counts
    contrasts = [fact.contrast or (0, fact.answer[0]) for fact in facts]
    at = first + torch.tensor([place for place, _ in contrasts], device=device)
    foils = tokens.index_copy(0, at, torch.tensor([token for _, token in contrasts], device=device))
    logs, differences, done = [], [], 0
    for logits in logits_of(parts, states):
        own, others = (item[done : done + len(logits)].to(logits.device).unsqueeze(-1) for item in (tokens, foils))
        chosen = logits.gather(-1, own).squeeze(-1)
        logs.append(chosen - logits.logsumexp(-1))
        differences.append(chosen - logits.gather(-1, others).squeeze(-1))
        done += len(logits)
    log, difference = torch.cat(logs).to(device), torch.cat(differences).to(device)
    mean = log.new_zeros(len(facts)).index_add(0, rows, log) / counts
    has_foil = torch.tensor([fact.contrast is not None for fact in facts], device=device)
    contrast = torch.where(has_foil, difference[at], torch.nan)
    return torch.stack([log[first].exp(), log[first], contrast, mean], dim=-1)
