"""Memorisation: how much of a row's output a model knows by heart, from one pass over the row and its output.

Extraction strength and exact memorisation are from 0 to 1: best is low on the forget set, high on the retain set.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import torch
from transformers import PreTrainedModel

from unlearning.config.prompt import Supervised
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Split
from unlearning.errors import InputError
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.likelihood import length_batches, states_before_scored
from unlearning.evaluation.model_state import evaluation_mode, require_fits
from unlearning.evaluation.position_logits import most_likely_tokens
from unlearning.evaluation.result import ItemScore
from unlearning.models import anatomy
from unlearning.progress.shown import shown_progress

VALUES = ("extraction_strength", "exact_memorisation")


def memorisation(evaluated: EvaluatedModel) -> list[ItemScore]:
    """Return both values of all forget rows, then of all retain rows, over the tokens of their outputs.

    The end-of-text token does not count, as in open-unlearning: knowing where an answer ends is not knowing the answer.

    Raises InputError as `encode_rows`, for a row longer than the model's context, and for logits that are not a number.
    """
    rows = evaluated.share.of([*evaluated.corpus.forget, *evaluated.corpus.retain])
    prompt = replace(
        evaluated.prompt,
        forget_supervised=Supervised.output,
        retain_supervised=Supervised.output,
        append_eos=False,
    )
    encoded = encode_rows(rows, evaluated.tokenizer, prompt)
    for row, tokens in zip(rows, encoded, strict=True):
        require_fits(evaluated.model, f"row {row.id}", len(tokens.input_ids), 0)
    names = [row.id for row in rows]
    sequences, starts = [row.input_ids for row in encoded], [row.supervised_from for row in encoded]
    with shown_progress("memorisation", len(rows)) as advance:
        hits = right_tokens(evaluated.model, names, sequences, starts, evaluated.config.batch_tokens, advance)
    return [
        ItemScore(
            group=row.split.value,
            id=row.id,
            values=dict(zip(VALUES, (extraction_strength(right), exact_memorisation(right)), strict=True)),
        )
        for row, right in zip(rows, hits, strict=True)
    ]


def extraction_strength(right: Sequence[bool]) -> float:
    """Return 1 - k / T, 0 to 1, for the least k such that greedy decoding after k of the T tokens yields all others.

    `right` says of each of the T tokens, 1 or more, whether it is the most likely one after all before it. Greedy
    decoding follows the output as long as this is so, and thus T - k is the length of the last unbroken run of True.
    Source: Carlini et al. 2021 (arXiv 2012.07805), as a share in Wang et al. 2025 (arXiv 2406.09179) and in
    open-unlearning, whose code returns 1 / T instead of 0.
    """
    run = 0
    while run < len(right) and right[-1 - run]:
        run += 1
    return run / len(right)


def exact_memorisation(right: Sequence[bool]) -> float:
    """Return the share, 0 to 1, of the tokens that are the most likely ones after all tokens before them.

    Source: Tirumala et al. 2022, arXiv 2205.10770.
    """
    return sum(right) / len(right)


def memorisation_metrics(items: Sequence[ItemScore]) -> dict[str, float | None]:
    """Return the mean of each value over the rows of each split; None for a split without rows."""
    values: dict[str, list[float]] = defaultdict(list)
    for item in items:
        for name, value in memorisation_values(item).items():
            values[name].append(value)
    keys = [f"{split.value}_{name}" for split in Split for name in VALUES]
    return {key: fmean(values[key]) if values[key] else None for key in keys}


def memorisation_values(item: ItemScore) -> dict[str, float]:
    """Return the item's values by the names of the metrics that are their means."""
    return {f"{item.group}_{name}": value for name, value in item.values.items()}


def right_tokens(
    model: PreTrainedModel,
    names: Sequence[str],
    sequences: Sequence[Sequence[int]],
    starts: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[list[bool]]:
    """Return whether each token from its sequence's start (1 or more) on has the highest logit after all before it.

    After each batch `advance` is called with its size. Raises InputError, with the sequence's name, for logits that are
    not a number.
    """
    found: list[list[bool]] = [[] for _ in sequences]
    decoder = anatomy.decoder(model)
    with evaluation_mode(model):
        for batch in length_batches(list(map(len, sequences)), batch_tokens):
            chosen, firsts = [sequences[index] for index in batch], [starts[index] for index in batch]
            states, tokens, counts = states_before_scored(model, decoder, chosen, firsts)
            highest, best = most_likely_tokens(model, decoder, states)
            right, broken = torch.split(best == tokens, counts), torch.split(highest.isnan(), counts)
            for index, own, wrong in zip(batch, right, broken, strict=True):
                if bool(wrong.any()):
                    name = names[index]
                    raise InputError(f"row {name}: the model's logits are not a number (NaN); its weights are broken")
                found[index] = own.tolist()
            advance(len(batch))
    return found
