"""Activation patching between two models: what it costs the one to get a layer's states from the other."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from unlearning.data.encoding import EncodedRow
from unlearning.errors import InputError
from unlearning.evaluation.likelihood import length_batches, right_padded, states_before_scored
from unlearning.evaluation.model_state import evaluation_mode
from unlearning.evaluation.position_logits import log_probabilities
from unlearning.mediation.hooks import edited_outputs
from unlearning.models import anatomy
from unlearning.probes.hidden_states import caught_outputs

Losses = NDArray[np.float64]


def losses_by_patching(
    target: PreTrainedModel,
    source: PreTrainedModel,
    rows: Sequence[EncodedRow],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> Losses:
    """Return D (layers, rows), in nats a token: by how much log p of a row's answer falls in `target`, layer by layer.

    For each layer, its output at the tokens that predict the answer is replaced by that of the same layer of `source`;
    everything else of the target runs on. D is the mean over the answer's tokens of log p before less log p after.
    Outputs are caught where the layer gives them, before any final norm. After each layer and batch `advance` is called
    with the number of its rows.

    Raises InputError where the models differ in the number of their layers or in their width.
    """
    layers, donors = anatomy.layers(target), anatomy.layers(source)
    widths = [model.config.get_text_config().hidden_size for model in (target, source)]
    if len(layers) != len(donors) or widths[0] != widths[1]:
        shapes = f"{len(donors)} layers of width {widths[1]}, target of {len(layers)} of width {widths[0]}"
        raise InputError(f"depth probe: model of {shapes}; must be the same")
    found = np.empty((len(layers), len(rows)))
    with evaluation_mode(target), evaluation_mode(source):
        for batch in length_batches([len(row.input_ids) for row in rows], batch_tokens):
            chosen = [rows[index] for index in batch]
            states = _source_states(source, chosen)
            before = _row_means(target, chosen)
            for number, layer in enumerate(layers):
                with edited_outputs({layer: _patch(states[number], chosen)}, max(len(row.input_ids) for row in chosen)):
                    after = _row_means(target, chosen)
                found[number, batch] = [one - other for one, other in zip(before, after, strict=True)]
                advance(len(batch))
    return found


def _source_states(source: PreTrainedModel, rows: Sequence[EncodedRow]) -> list[Tensor]:
    """Return, for each layer, its output (N, width) at the tokens that predict the rows' answers, row after row."""
    ids = right_padded([row.input_ids for row in rows], source.device)
    with caught_outputs(anatomy.layers(source)) as outputs:
        anatomy.decoder(source)(input_ids=ids, use_cache=False)
    wanted = _predicting(rows, ids.shape[1]).to(source.device)
    return [output[0][wanted] for output in outputs]


def _patch(states: Tensor, rows: Sequence[EncodedRow]) -> Callable[[Tensor], Tensor]:
    """Return an edit that puts the states (N, width) in the place of those at the tokens that predict the answers."""

    def edit(hidden: Tensor) -> Tensor:
        changed = hidden.clone()
        changed[_predicting(rows, hidden.shape[1]).to(hidden.device)] = states.to(hidden)
        return changed

    return edit


def _predicting(rows: Sequence[EncodedRow], width: int) -> Tensor:
    """Return (R, width) bool: whether a token predicts a token of its row's answer."""
    wanted = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        wanted[number, row.supervised_from - 1 : len(row.input_ids) - 1] = True
    return wanted


def _row_means(model: PreTrainedModel, rows: Sequence[EncodedRow]) -> list[float]:
    """Return the mean log p of the tokens of each row's answer."""
    decoder, starts = anatomy.decoder(model), [row.supervised_from for row in rows]
    states, tokens, counts = states_before_scored(model, decoder, [row.input_ids for row in rows], starts)
    values = log_probabilities(model, decoder, states, torch.arange(len(tokens), device=tokens.device), tokens)
    return [own.mean().item() for own in torch.split(values, counts)]
