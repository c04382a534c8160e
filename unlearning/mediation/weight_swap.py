"""Mediation by weights: the model with the weights of one part from before it memorised, or the other way round.

Where fine-tuning wrote the facts is a question about weights. Exchanging weights answers it without noise and without
positions. The answer has a meaning only where the model was fine-tuned from the base model: see `ancestry`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.model_parts import evaluation_mode
from unlearning.mediation.result import FactTrace, Scores
from unlearning.mediation.states import Site, restorations_of
from unlearning.models import anatomy
from unlearning.progress.shown import shown_progress

Score = Callable[[PreTrainedModel, Sequence[EncodedFact]], Scores]
"""A function that gives the scores (facts, M) of facts under a model, in the order of `METRICS`."""

UNRELATED = 0.5
"""A base model with a larger `ancestry` does not look like the model's ancestor: fine-tuning changes weights by a few
per cent, while independent random matrices of the same scale are sqrt(2) apart."""


def trace_weights(
    model: PreTrainedModel, base: PreTrainedModel, facts: Sequence[EncodedFact], config: TraceConfig, score: Score
) -> list[FactTrace]:
    """Return the scores of every fact with the model, with the base, and with the weights of one part exchanged.

    Noising scores the model with one part of the base, denoising the base with one part of the model, one layer after
    another. Embeddings, final norm and head are never exchanged, so the single effects need not add up to the total
    effect. All facts are scored 2 + K * L times for K kinds and L layers. Afterwards both models are what they were, to
    the bit.

    Raises:
        InputError: the two models' parts differ in number, in parameters or in shapes.
    """
    require_same_parts(model, base, config.kinds)
    host, donor = (model, base) if config.direction is Direction.noising else (base, model)
    pairs = list(zip(anatomy.layers(host), anatomy.layers(donor), strict=True))
    restorations = restorations_of(config)
    with (
        evaluation_mode(model),
        evaluation_mode(base),
        shown_progress("exchanging weights", len(restorations) * len(pairs)) as advance,
    ):
        clean, corrupted = score(model, facts), score(base, facts)
        patched = np.empty((len(restorations), len(pairs), *clean.shape))
        for row, restoration in enumerate(restorations):
            for layer, pair in enumerate(pairs):
                with exchanged(*pair, restoration.kind):
                    patched[row, layer] = score(host, facts)
                advance(1)
    return [
        FactTrace(
            fact=fact.source.id,
            person=fact.source.person,
            relation=fact.source.relation,
            tokens=(),
            sites=(Site("weights", ()),),
            clean=clean[index],
            corrupted=corrupted[index, None],
            patched=patched[:, :, None, None, index],
            placebo=None,
        )
        for index, fact in enumerate(facts)
    ]


@contextmanager
def exchanged(layer: nn.Module, donor: nn.Module, kind: ModuleKind) -> Iterator[None]:
    """Give the layer's part the donor's parameters and buffers inside, in its own dtype and on its own device.

    The references of its modules are exchanged, never a tensor's content. So nothing is copied unless it must be
    converted, and where a parameter is tied to one outside the layer, the one outside stays as it is.
    """
    given = _tensors(donor, kind)
    with ExitStack() as stack:
        for path, own in _tensors(layer, kind).items():
            owner, _, name = path.rpartition(".")
            module = layer.get_submodule(owner)
            stack.callback(setattr, module, name, own)
            setattr(module, name, _like(own, given[path]))
        yield


def ancestry(model: PreTrainedModel, base: PreTrainedModel) -> float:
    """Return how far the model's layers are from the base's: 0 for equal ones, about sqrt(2) for unrelated ones.

    It is the median of ||W - W_base|| / ||W_base|| (Frobenius) over all weight matrices W in the layers.

    Raises:
        InputError: the two models' layers differ in number, in parameters or in shapes.
    """
    require_same_parts(model, base, [ModuleKind.layer])
    distances = []
    for own, other in zip(anatomy.layers(model), anatomy.layers(base), strict=True):
        given = dict(other.named_parameters())
        distances += [_distance(weight, given[name]) for name, weight in own.named_parameters() if weight.dim() > 1]
    return median(distances)


def ancestry_warning(distance: float) -> str | None:
    """Return one line where the distance, an `ancestry`, is above `UNRELATED`, and None otherwise."""
    if distance <= UNRELATED:
        return None
    return (
        f"trace.base_model: its weights differ from the model's by {distance:.0%} (median), so it does not look like "
        "the model before it memorised, and exchanged parts do not fit together"
    )


def require_same_parts(model: PreTrainedModel, base: PreTrainedModel, kinds: Sequence[ModuleKind]) -> None:
    """Refuse, with an InputError, a base of another number of layers or with other tensors in their parts."""
    name = f"trace.base_model={base.config.name_or_path}"
    layers, others = anatomy.layers(model), anatomy.layers(base)
    if len(layers) != len(others):
        raise InputError(f"{name}: has {len(others)} layers, but the model {len(layers)}; they must be as many")
    for index, pair in enumerate(zip(layers, others, strict=True)):
        for kind in kinds:
            ours, theirs = (_shapes(layer, kind) for layer in pair)
            differing = [path for path in sorted({*ours, *theirs}) if ours.get(path) != theirs.get(path)]
            if differing:
                found, wanted = (shapes.get(differing[0], "missing") for shapes in (theirs, ours))
                raise InputError(
                    f"{name}: {differing[0]} of layer {index} is {found}, but {wanted} in the model; "
                    "weights of equal names and shapes are needed"
                )


def _tensors(layer: nn.Module, kind: ModuleKind) -> dict[str, Tensor]:
    """Return the part's parameters and buffers by their names in the layer; a tied tensor has several names."""
    inside = {id(item) for item in (*anatomy.part_parameters(layer, kind), *anatomy.part(layer, kind).buffers())}
    named = chain(layer.named_parameters(remove_duplicate=False), layer.named_buffers(remove_duplicate=False))
    return {name: tensor for name, tensor in named if id(tensor) in inside}


def _shapes(layer: nn.Module, kind: ModuleKind) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the part's tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in _tensors(layer, kind).items()}


def _like(own: Tensor, given: Tensor) -> Tensor:
    """Return the given values in the own tensor's dtype and on its device, as a parameter if it is one."""
    values = given.detach().to(own)
    return nn.Parameter(values, requires_grad=own.requires_grad) if isinstance(own, nn.Parameter) else values


def _distance(weight: Tensor, base: Tensor) -> float:
    """Return ||W - W_base|| / ||W_base||: infinite where only the base is zero, 0 where the two are equal."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    ours, theirs = weight.detach().to(dtype), base.detach().to(weight.device, dtype)
    moved, size = (torch.linalg.vector_norm(item, dtype=torch.float64) for item in (ours - theirs, theirs))
    return float(moved / size) if moved else 0.0
