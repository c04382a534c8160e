"""Gradient baselines for the choice of layers: where forget facts have larger gradients than retain facts.

They need no patching, so they show what causal tracing adds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import build_packs
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.model_parts import evaluation_mode
from unlearning.mediation.result import LayerGradients
from unlearning.models import anatomy
from unlearning.models.row_losses import row_losses
from unlearning.progress.shown import shown_progress

Values = NDArray[np.float64]


def layer_gradients(
    model: PreTrainedModel, forget: Sequence[EncodedFact], retain: Sequence[EncodedFact], kind: ModuleKind
) -> LayerGradients:
    """Return, for each layer's part of this kind, the gradients of forget facts divided by those of retain facts.

    With g_i the gradient, for the part's parameters, of minus the mean log-probability of fact i's answer tokens,
    each given the prompt and the answer so far:

        gradient = ||mean of g_i over forget|| / ||mean of g_i over retain||
        fisher   = mean of ||g_i||^2 over forget / mean of ||g_i||^2 over retain

    Both are 0 or more and compare the layers of one model. Each fact takes one forward and backward pass, without
    dropout; the facts' order does not matter. The parts' gradients are held twice, once in float32 or better.

    Raises:
        InputError: there are no forget facts or no retain facts; a part has no gradient on the retain facts, so that
            its ratio is undefined and it has no place among the others; or the gradients are not finite.
    """
    require_both(forget, retain)
    parts = [anatomy.part_parameters(layer, kind) for layer in anatomy.layers(model)]
    chosen = [parameter for part in parts for parameter in part]
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    with (
        evaluation_mode(model),
        torch.enable_grad(),
        _differentiable(model, chosen),
        shown_progress("gradients of facts", len(forget) + len(retain)) as advance,
    ):
        norms, squares = _norms(model, chosen, owners, forget, advance)
        retain_norms, retain_squares = _norms(model, chosen, owners, retain, advance)
    return LayerGradients(_ratios(norms, retain_norms, kind), _ratios(squares, retain_squares, kind))


def require_both(forget: Sequence[EncodedFact], retain: Sequence[EncodedFact]) -> None:
    """Raise InputError where one of the two sets has no facts, so that there is nothing to compare."""
    if not forget or not retain:
        missing = "retain" if forget else "forget"
        raise InputError(
            f"trace.rule=gradient or fisher: no {missing} facts to take gradients of; choose another trace.rule"
        )


def _norms(
    model: PreTrainedModel,
    chosen: Sequence[nn.Parameter],
    owners: NDArray[np.intp],
    facts: Sequence[EncodedFact],
    advance: Callable[[int], None],
) -> tuple[Values, Values]:
    """Return ||mean of g_i|| (L,) and the mean of ||g_i||^2 (L,); `owners` has each parameter's layer."""
    sums = [_accumulator(parameter) for parameter in chosen]
    squares = np.zeros(len(chosen))
    # In an order of their own, so that rounding does not depend on the order given.
    for fact in sorted(facts, key=lambda fact: (fact.source.id, fact.input_ids)):
        gradients = torch.autograd.grad(_loss(model, fact), chosen, materialize_grads=True)
        for total, gradient in zip(sums, gradients, strict=True):
            total += gradient
        squares += [_squared_norm(gradient) for gradient in gradients]
        advance(1)
    of_sums = np.bincount(owners, [_squared_norm(total) for total in sums])
    return np.sqrt(of_sums) / len(facts), np.bincount(owners, squares) / len(facts)


def _loss(model: PreTrainedModel, fact: EncodedFact) -> Tensor:
    """Return minus the mean log-probability of the answer's tokens."""
    packs = build_packs([EncodedRow(fact.input_ids, fact.answer_start)], [[0]], pad=0)
    return row_losses(model, packs.to(model.device), 1)[0]


def _accumulator(parameter: nn.Parameter) -> Tensor:
    """Return zeros in the parameter's shape, in float32 or better, to sum gradients in."""
    return torch.zeros_like(parameter, dtype=torch.promote_types(parameter.dtype, torch.float32), requires_grad=False)


def _squared_norm(values: Tensor) -> float:
    """Return the squared Euclidean norm, summed in float64."""
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2


def _ratios(forget: Values, retain: Values, kind: ModuleKind) -> tuple[float, ...]:
    """Return forget divided by retain for each layer. InputError where that is not a number."""
    for layer, (upper, lower) in enumerate(zip(forget, retain, strict=True)):
        if not (isfinite(upper) and isfinite(lower) and lower > 0):
            raise InputError(
                f"trace.rule=gradient or fisher: layer {layer}'s {kind} has a gradient of size {upper:g} on forget "
                f"facts and {lower:g} on retain facts, which have no ratio; choose another trace.rule"
            )
    return tuple(float(ratio) for ratio in forget / retain)


@contextmanager
def _differentiable(model: PreTrainedModel, chosen: Sequence[nn.Parameter]) -> Iterator[None]:
    """Let only these parameters have gradients inside, so that no backward pass goes below the lowest of them."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    wanted = {id(parameter) for parameter in chosen}
    try:
        for parameter, _ in before:
            parameter.requires_grad_(id(parameter) in wanted)
        yield
    finally:
        for parameter, flag in before:
            parameter.requires_grad_(flag)
