"""Mediation by weights: the model with one part as it was before it memorised, or the other way round.

Where fine-tuning wrote the facts is a question about weights, and exchanging them answers it without noise and without
positions. It means something only where the model was fine-tuned from the base: see `ancestry`.
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
from unlearning.mediation.open_model import evaluating
from unlearning.mediation.result import FactTrace, Scores
from unlearning.mediation.states import Site, restorations_of
from unlearning.mediation.subject import Probe
from unlearning.models import anatomy

Score = Callable[[PreTrainedModel, Sequence[Probe]], Scores]
"""Scores (facts, M) of the probes under a model, in the order of `METRICS`."""

UNRELATED = 0.5
"""`ancestry` above which the base does not look like an ancestor: fine-tuning moves weights by a few per cent, and
matrices drawn independently at the same scale are sqrt(2) apart."""


def trace_weights(
    model: PreTrainedModel, base: PreTrainedModel, probes: Sequence[Probe], config: TraceConfig, score: Score
) -> list[FactTrace]:
    """Score every fact with the model, with the base, and with each part's weights exchanged, a layer at a time.

    Noising: the model with one part of the base. Denoising: the base with one part of the model. Embeddings, final
    norm and head are never exchanged, so that single effects need not add up to the total one. 2 + K * L evaluations
    of all probes for K kinds and L layers. Both models are afterwards what they were, to the bit.

    Raises:
        InputError: the two models' parts differ in number, in parameters or in shapes.
    """
    _require_same_parts(model, base, config.kinds)
    host, donor = (model, base) if config.direction is Direction.noising else (base, model)
    pairs = list(zip(anatomy.layers(host), anatomy.layers(donor), strict=True))
    with evaluating(model), evaluating(base):
        clean, corrupted = score(model, probes), score(base, probes)
        patched = np.empty((len(restorations_of(config)), len(pairs), *clean.shape))
        for row, restoration in enumerate(restorations_of(config)):
            for layer, pair in enumerate(pairs):
                with exchanged(*pair, restoration.kind):
                    patched[row, layer] = score(host, probes)
    return [
        FactTrace(
            fact=probe.fact.id,
            person=probe.fact.person,
            relation=probe.fact.relation,
            tokens=(),
            sites=(Site("weights", ()),),
            clean=clean[index],
            corrupted=corrupted[index, None],
            patched=patched[:, :, None, None, index],
            placebo=None,
        )
        for index, probe in enumerate(probes)
    ]


@contextmanager
def exchanged(layer: nn.Module, donor: nn.Module, kind: ModuleKind) -> Iterator[None]:
    """Inside, the layer's part has the parameters and buffers of the donor's, in its own dtype and on its own device.

    What its modules refer to is exchanged, never a tensor's content. So nothing is copied unless it has to be
    converted, and a parameter that is tied to one outside the layer stays there what it is.
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
    """How far the model's layers are from the base's: 0 where they are equal, sqrt(2) or so where they are unrelated.

    The median of ||W - W_base|| / ||W_base|| (Frobenius) over all weight matrices W in the layers.

    Raises:
        InputError: the two models' layers differ in number, in parameters or in shapes.
    """
    _require_same_parts(model, base, [ModuleKind.layer])
    distances = []
    for own, other in zip(anatomy.layers(model), anatomy.layers(base), strict=True):
        given = dict(other.named_parameters())
        distances += [_distance(weight, given[name]) for name, weight in own.named_parameters() if weight.dim() > 1]
    return median(distances)


def ancestry_warning(distance: float) -> str | None:
    """One line where `ancestry` is above `UNRELATED`, None otherwise."""
    if distance <= UNRELATED:
        return None
    return (
        f"trace.base_model: its weights differ from the model's by {distance:.0%} (median), so it does not look like "
        "the model before it memorised, and exchanged parts do not fit together"
    )


def _require_same_parts(model: PreTrainedModel, base: PreTrainedModel, kinds: Sequence[ModuleKind]) -> None:
    """InputError unless the base has as many layers, and the same tensors in their parts."""
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
    """The part's parameters and buffers by their names in the layer, every name that a tensor has."""
    inside = {id(item) for item in (*anatomy.part_parameters(layer, kind), *anatomy.part(layer, kind).buffers())}
    named = chain(layer.named_parameters(remove_duplicate=False), layer.named_buffers(remove_duplicate=False))
    return {name: tensor for name, tensor in named if id(tensor) in inside}


def _shapes(layer: nn.Module, kind: ModuleKind) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in _tensors(layer, kind).items()}


def _like(own: Tensor, given: Tensor) -> Tensor:
    """The given values in the own tensor's dtype, on its device, and a parameter if it is one."""
    values = given.detach().to(own)
    return nn.Parameter(values, requires_grad=own.requires_grad) if isinstance(own, nn.Parameter) else values


def _distance(weight: Tensor, base: Tensor) -> float:
    """||W - W_base|| / ||W_base||: infinite where the base alone is zero, 0 where the two are equal."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    ours, theirs = weight.detach().to(dtype), base.detach().to(weight.device, dtype)
    moved, size = (torch.linalg.vector_norm(item, dtype=torch.float64) for item in (ours - theirs, theirs))
    return float(moved / size) if moved else 0.0
