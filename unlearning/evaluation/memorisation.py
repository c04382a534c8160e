"""How much of a row's output a model knows by heart, from one pass over the row with its output before its eyes."""

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
from unlearning.evaluation.progress import progress_bar
from unlearning.evaluation.result import ItemScore
from unlearning.models import anatomy

VALUES = ("extraction_strength", "exact_memorisation")


def memorisation(evaluated: EvaluatedModel) -> list[ItemScore]:
    """Both values of all forget rows, then all retain rows, over the tokens that training teaches as their output.

    The end-of-text token does not count, as in open-unlearning: that an answer ends there tells nothing of it.

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
    with progress_bar("memorisation", len(rows)) as advance:
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
    """1 - k / T for the least k such that greedy decoding, given the first k of the T tokens, gives all others; 0 to 1.

    Greedy decoding follows the output as long as each next token is the arg max, so T - k is the length of the last
    unbroken run of `right`, which has T entries, 1 or more (Carlini et al. 2021, arXiv 2012.07805, as a share by Wang
    et al. 2025, arXiv 2406.09179, and open-unlearning; the latter's code gives 1 / T instead of 0).
    """
    run = 0
    while run < len(right) and right[-1 - run]:
        run += 1
    return run / len(right)


def exact_memorisation(right: Sequence[bool]) -> float:
    """Share of the tokens, 1 or more, that are the arg max after all before them; 0 to 1.

    Source: Tirumala et al. 2022, arXiv 2205.10770.
    """
    return sum(right) / len(right)


def memorisation_metrics(items: Sequence[ItemScore]) -> dict[str, float | None]:
    """Mean of each value over the rows of each split; None for a split without rows."""
    values: dict[str, list[float]] = defaultdict(list)
    for item in items:
        for name, value in memorisation_values(item).items():
            values[name].append(value)
    keys = [f"{split.value}_{name}" for split in Split for name in VALUES]
    return {key: fmean(values[key]) if values[key] else None for key in keys}


def memorisation_values(item: ItemScore) -> dict[str, float]:
    """The item's values under the metrics that are their means."""
    return {f"{item.group}_{name}": value for name, value in item.values.items()}


def right_tokens(
    model: PreTrainedModel,
    names: Sequence[str],
    sequences: Sequence[Sequence[int]],
    starts: Sequence[int],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[list[bool]]:
    """Whether each token from its sequence's start (1 or more) on has the highest logit, given all tokens before it.

    `advance` is told of each batch's size. Raises InputError, with the sequence's name, for logits that are not a
    number.
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
