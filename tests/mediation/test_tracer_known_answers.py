"""Patches whose result is known beforehand: of everything, of nothing that matters, of the one layer that acts."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.mediation.builders import deep_model
from tests.mediation.tracer_cases import (
    CONFIG,
    DEPTH,
    FACTS,
    FROM_BASE,
    GRID,
    PATHS,
    each_setting,
    facts_for,
    traced,
    tracer_of,
)
from tests.reference.naive_tracer import Run, noise_of, trace_patch, window
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig, TracedTokens
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.result import METRICS, Metric
from unlearning.mediation.states import Site
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy

pytestmark = pytest.mark.usefixtures("in_double")


# ---------------------------------------------------------------- where the answer is known


def at_sites(monkeypatch: pytest.MonkeyPatch, group: str, positions: Callable[[EncodedFact], range]) -> None:
    """Make the tracer patch these positions together, in place of those that the settings name."""
    monkeypatch.setattr(
        "unlearning.mediation.tracer.sites_of", lambda fact, _config: (Site(group, tuple(positions(fact))),)
    )


@pytest.mark.grid
@pytest.mark.parametrize("corruption", Corruption)
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox", "gemma3_text"])
def test_patching_everything_makes_one_run_the_other(
    family: str, direction: Direction, corruption: Corruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_sites(monkeypatch, "subject", lambda fact: range(len(fact.input_ids) - 1))
    kinds = [ModuleKind.layer]
    config = replace(CONFIG, corruption=corruption, direction=direction, kinds=kinds, select=kinds[0])
    model = deep_model(family, DEPTH).double()
    # The layers after the patched one are the receiver's own, so the base must have the same ones.
    base = deepcopy(model)
    with torch.no_grad():
        for parameter in anatomy.layers(base)[0].parameters():
            parameter.mul_(1.2)
    tracer = Tracer(model, config, base if corruption is Corruption.base_model else None)
    for trace in traced(tracer, facts_for(config)).values():
        other = trace.clean if direction is Direction.denoising else trace.corrupted
        unpatched = trace.corrupted if direction is Direction.denoising else trace.clean
        assert abs(other - unpatched)[..., -1].min() > 1e-6
        wanted = np.broadcast_to(other, trace.patched.shape)
        np.testing.assert_allclose(trace.patched, wanted, rtol=0, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("corruption", [Corruption.noise, Corruption.replacement])
def test_nothing_before_the_subject_matters(
    corruption: Corruption, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_sites(monkeypatch, "subject", lambda fact: range(fact.subject[0]))
    config = replace(CONFIG, window=2, corruption=corruption, direction=direction, placebo=False)
    facts = [fact for fact in facts_for(config) if fact.subject[0]]
    for trace in traced(tracer_of("olmo", config), facts).values():
        unpatched = trace.corrupted if direction is Direction.denoising else trace.clean
        wanted = np.broadcast_to(unpatched, trace.patched.shape)
        np.testing.assert_allclose(trace.patched, wanted, rtol=0, atol=1e-12, equal_nan=True)


def test_what_a_base_model_makes_of_the_first_tokens_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models differ from the first token on, so the grid begins there."""
    at_sites(monkeypatch, "subject", lambda fact: range(fact.subject[0]))
    for trace in traced(tracer_of("olmo", FROM_BASE), FACTS[:3]).values():
        moved = abs(trace.patched - trace.corrupted)[:, : DEPTH - 1, ..., -1].max(1)
        assert (moved > 1e-6).all()


@each_setting
def test_the_last_layer_at_the_subject_is_read_by_no_one(config: TraceConfig) -> None:
    config = replace(config, tokens=TracedTokens.subject)
    for trace in traced(tracer_of("olmo", config), facts_for(config)).values():
        unpatched = trace.clean if config.direction is Direction.noising else trace.corrupted
        single = [place for place, item in enumerate(tracer_of("olmo", config).restorations) if item.window == 1]
        found = trace.patched[single, DEPTH - 1]
        np.testing.assert_allclose(found, np.broadcast_to(unpatched, found.shape), rtol=0, atol=1e-12, equal_nan=True)


def test_the_last_layer_at_the_last_position_is_the_clean_first_token() -> None:
    tracer = tracer_of("olmo", GRID)
    layer = [item.label for item in tracer.restorations].index("layer")
    first = METRICS.index(Metric.LOG_PROBABILITY)
    for trace in traced(tracer, FACTS).values():
        assert trace.sites[-1].group == "last"
        assert trace.patched[layer, DEPTH - 1, -1, :, first] == pytest.approx(trace.clean[first], abs=1e-10)
        assert trace.corrupted[:, first] != pytest.approx(trace.clean[first], abs=1e-3)


@pytest.mark.grid
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("planted", [0, 1])
@pytest.mark.parametrize("family", ["olmo", "gpt2"])
def test_planted_truth(family: str, planted: int, direction: Direction) -> None:
    """Where the output of all MLPs but one is zero, only that one can have an effect."""
    model = deep_model(family, DEPTH).double()
    with torch.no_grad():
        for index, layer in enumerate(anatomy.layers(model)):
            if index != planted:
                for parameter in anatomy.part(layer, ModuleKind.mlp).parameters():
                    parameter.zero_()
    config = replace(CONFIG, kinds=[ModuleKind.mlp], window=2, direction=direction)
    single, pairs = Tracer(model, config).trace(FACTS[:1], 2.0)[0].patched[:, :, 0, :, -1]
    unpatched = Tracer(model, config).trace(FACTS[:1], 2.0)[0]
    without = unpatched.corrupted if direction is Direction.denoising else unpatched.clean
    effects, windowed = (abs(found - without[..., -1]).max(-1) for found in (single, pairs))
    assert effects[planted] > 1e-4
    assert np.delete(effects, planted) == pytest.approx(0, abs=1e-13)
    # ROME's window of two is the layer and the one below it.
    assert windowed[[planted, planted + 1]] == pytest.approx(effects[planted], abs=1e-13)


# ---------------------------------------------------------------- windows that begin alike


@pytest.mark.by_default("gpt2-3-4")
@pytest.mark.parametrize("depth", [4, 6])
@pytest.mark.parametrize("width", [3, 10])
@pytest.mark.parametrize("family", ["gpt2", "olmo2"])
def test_windows_cut_off_at_the_ends(family: str, width: int, depth: int) -> None:
    """The windows at the lower end begin with the same layer, and shorter ones copy the rows of the longest one."""
    config = replace(CONFIG, window=width, kinds=PATHS, tokens=TracedTokens.two_rows, placebo=False)
    tracer = tracer_of(family, config, depth)
    model = tracer.parts.model
    for fact, trace in zip(FACTS[:2], tracer.trace(FACTS[:2], 2.0), strict=True):
        noise = noise_of(fact.source.id, config.seed, config.draws, len(fact.subject), 32, 2.0)
        clean = Run(model, family, fact.input_ids)
        noisy = Run(model, family, fact.input_ids, fact.subject, noise)
        for place, item in enumerate(tracer.restorations):
            for layer in range(depth):
                modules = window(item.kind, layer, item.window, depth)
                names = [module_name(model, item.kind, module) for module in modules]
                for number, site in enumerate(trace.sites):
                    patch = dict.fromkeys(names, site.positions)
                    wanted = trace_patch(noisy, clean, patch, fact.answer_start, contrast=fact.contrast)
                    assert trace.patched[place, layer, number] == pytest.approx(np.array(wanted), abs=1e-10)


def module_name(model: nn.Module, kind: ModuleKind, layer: int) -> str:
    path = "transformer.h" if hasattr(model, "transformer") else "model.layers"
    names = {ModuleKind.mlp: "mlp", ModuleKind.attention: "attn" if path == "transformer.h" else "self_attn"}
    return f"{path}.{layer}.{names[kind]}"
