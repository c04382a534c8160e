"""First-order estimates are right where first order is enough; their correlation with exact effects is by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.families import EVERY_FAMILY
from tests.mediation.builders import close, deep_model, random_fact, same_state, state_of
from tests.mediation.fabricated import ATTENTION, MLP, fact_trace
from unlearning.config.checks import check_ranges
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.result import METRICS, FactTrace, Metric
from unlearning.mediation.screening import estimate, screening
from unlearning.mediation.states import Restoration, Site
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy

DEPTH = 4
FACTS = [
    random_fact("a", range(2, 4), 6, 10, foils=2, contrast=(1, 50)),
    random_fact("b", range(1, 2), 4, 6, foils=2, contrast=(0, 50)),
]
CONFIG = TraceConfig(mode=TraceMode.screen, draws=2, seed=5, tokens=TracedTokens.grid, noise_std=1e-5)
each_direction = pytest.mark.parametrize("direction", Direction)


pytestmark = pytest.mark.usefixtures("in_double")


def effects(trace: FactTrace, direction: Direction) -> NDArray[np.float64]:
    """Return what patching changes, (R, L, S, D, M)."""
    found: NDArray[np.float64] = trace.patched - (trace.corrupted if direction is Direction.denoising else trace.clean)
    return found


def compare(tracer: Tracer, direction: Direction, scale: float) -> None:
    """Check that estimated effects equal exact ones, to 1% of the largest in the same metric and restoration."""
    exactly = Tracer(
        tracer.parts.model,
        replace(tracer.config, mode=TraceMode.exact, placebo=False),
        tracer.base.model if tracer.base else None,
    )
    for guess, exact in zip(estimate(tracer, FACTS, scale), exactly.trace(FACTS, scale), strict=True):
        bare = [replace(trace, patched=None, placebo=None) for trace in (guess, exact)]
        np.testing.assert_allclose(bare[0].clean, bare[1].clean, rtol=0, atol=1e-10)
        np.testing.assert_allclose(bare[0].corrupted, bare[1].corrupted, rtol=0, atol=1e-10)
        assert replace(bare[0], clean=None, corrupted=None) == replace(bare[1], clean=None, corrupted=None)
        assert guess.placebo is None
        ours, theirs = effects(guess, direction), effects(exact, direction)
        size = abs(theirs).max((1, 2, 3), keepdims=True)
        assert (size > 0).all()
        worst = (abs(ours - theirs) / size).max((1, 2, 3, 4)).tolist()
        labels = [restoration.label for restoration in tracer.restorations]
        assert dict(zip(labels, worst, strict=True)) == pytest.approx(dict.fromkeys(labels, 0), abs=1e-2)


@pytest.mark.by_default("gpt_oss-denoising", "gemma3_text-noising", "gpt2-denoising", "opt-noising")
@each_direction
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_little_noise_is_linear(family: str, direction: Direction) -> None:
    model = deep_model(family, DEPTH).double()
    tracer = Tracer(model, replace(CONFIG, direction=direction))
    scale = tracer.noise_scale(FACTS)
    assert 0 < scale < 1e-4
    compare(tracer, direction, scale)


@pytest.mark.parametrize("tokens", TracedTokens)
def test_tokens_of_one_site_add_up(tokens: TracedTokens) -> None:
    tracer = Tracer(deep_model("llama", DEPTH).double(), replace(CONFIG, tokens=tokens))
    compare(tracer, Direction.denoising, tracer.noise_scale(FACTS))


def test_windows_are_refused() -> None:
    """A module's output cannot reach the answer through the other modules of its window, since they are patched too."""
    with pytest.raises(InputError, match=r"^trace\.window=2: must be 1 for trace\.mode=screen"):
        check_ranges(replace(CONFIG, mode=TraceMode.screen, window=2), "trace")


@each_direction
def test_a_base_model_close_by_is_linear(direction: Direction) -> None:
    model, base = deep_model("llama", DEPTH).double(), deep_model("llama", DEPTH).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in anatomy.layers(base)[0].parameters():
            parameter += 1e-6 * torch.randn(parameter.shape, generator=generator).double()
    config = replace(CONFIG, corruption=Corruption.base_model, direction=direction)
    compare(Tracer(model, config, base), direction, 0.0)


@each_direction
def test_a_name_close_by_is_linear(direction: Direction) -> None:
    """The tokens of every foil have almost the same embeddings."""
    model = deep_model("llama", DEPTH).double()
    weight = anatomy.embeddings(model).weight
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        for fact in FACTS:
            for position in fact.subject:
                foil = fact.foils[0][position]
                weight[foil] = weight[fact.input_ids[position]] + 1e-6 * torch.cos(torch.arange(32.0).double() + foil)
    compare(Tracer(model, replace(CONFIG, corruption=Corruption.replacement, direction=direction)), direction, 0.0)


def test_strong_noise_is_not() -> None:
    """Strong noise gives wrong estimates, so the tests above can fail."""
    tracer = Tracer(deep_model("llama", DEPTH).double(), CONFIG)
    with pytest.raises(AssertionError):
        compare(tracer, Direction.denoising, 3.0)


@each_direction
def test_neither_order_nor_company_matters(direction: Direction) -> None:
    tracer = Tracer(deep_model("llama", DEPTH).double(), replace(CONFIG, direction=direction))
    together, backwards = estimate(tracer, FACTS, 1.0), estimate(tracer, FACTS[::-1], 1.0)
    for place, fact in enumerate(FACTS):
        (alone,) = estimate(tracer, [fact], 1.0)
        assert close(alone, together[place], 1e-11)
        assert close(alone, backwards[1 - place], 1e-11)


def test_frozen_weights_do_not_matter() -> None:
    free, frozen = (deep_model("llama", DEPTH).double() for _ in range(2))
    frozen.requires_grad_(False)
    one, other = (estimate(Tracer(model, CONFIG), FACTS, 1.0) for model in (free, frozen))
    assert all(close(*pair, 1e-12) for pair in zip(one, other, strict=True))


def test_the_model_is_left_as_it_was() -> None:
    model = deep_model("llama", DEPTH).double().train()
    before = state_of(model)
    estimate(Tracer(model, CONFIG), FACTS, 1.0)
    assert same_state(state_of(model), before)


def test_a_fact_without_contrast() -> None:
    """It has no logit difference, and this changes neither its other metrics nor the other fact."""
    tracer = Tracer(deep_model("llama", DEPTH).double(), CONFIG)
    bare = replace(FACTS[0], contrast=None)
    whole, without = estimate(tracer, FACTS, 1.0), estimate(tracer, [bare, FACTS[1]], 1.0)
    place = METRICS.index(Metric.LOGIT_DIFFERENCE)
    assert np.isnan(without[0].patched[..., place]).all()
    assert np.delete(without[0].patched, place, -1) == pytest.approx(np.delete(whole[0].patched, place, -1), abs=1e-12)
    assert close(whole[1], without[1], 1e-12)


def test_scores_that_are_not_finite_are_refused() -> None:
    model = deep_model("llama", DEPTH).double()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.inf
    with pytest.raises(InputError, match=r"^fact a: the model's scores are not finite"):
        estimate(Tracer(model, CONFIG), FACTS, 1.0)


# ---------------------------------------------------------------- correlation

PAIR = (Site("first_subject", (1,)), Site("last_subject", (2,)))


def made(name: str, effects: object, direction: Direction = Direction.denoising) -> FactTrace:
    """Return a fact of total effect 10 with effects (R, L, S), the deciding site first; two corrupted runs differ by 1.

    Other metrics have no effect.
    """
    numbers = np.asarray(effects, dtype=float)[..., ::-1, None] + np.array([1.0, -1.0])
    patched = numbers - 10 if direction is Direction.denoising else -numbers
    found = fact_trace(name, name, 0.0, [-10.0, -10.0], patched, sites=PAIR)
    found.patched[..., : METRICS.index(Metric.ANSWER_LOG_PROBABILITY)] = 0
    return found


def correlation(ours: object, theirs: object, direction: Direction = Direction.denoising) -> tuple[float, float]:
    """Return the correlations of effects (facts, L, S): of all of them, and of their means at the deciding site."""
    facts = ([made(f"{n}", [own], direction) for n, own in enumerate(np.array(side))] for side in (ours, theirs))
    found = screening(*facts, (MLP,), direction)
    assert found.facts == len(np.array(theirs))
    return found.correlation["mlp"], found.correlation_of_means["mlp"]


@each_direction
def test_correlation_by_hand(direction: Direction) -> None:
    """The ranks 1 2 3 4 and 2 1 4 3 give 1 - 6 * 4 / (4 * 15) = 0.6. At the subject two layers are reversed: -1."""
    ours, theirs = [[[1, 3], [2, 40]]], [[[7, 70], [-5, 9]]]
    everything, correlation_of_means = correlation(ours, theirs, direction)
    assert everything == pytest.approx(0.6)
    assert correlation_of_means == pytest.approx(-1)


@each_direction
def test_means_are_over_facts_first(direction: Direction) -> None:
    """The means are 2 3 and 5 4, whatever the ranks of the eight numbers."""
    ours = [[[0, 0], [1, 0]], [[4, 0], [5, 0]]]
    theirs = [[[9, 0], [1, 0]], [[1, 0], [7, 0]]]
    everything, correlation_of_means = correlation(ours, theirs, direction)
    # With ties it is, by definition, Pearson's correlation of mean ranks: 2.5 (five times), 6, 7, 8 and so on.
    left = np.array([3, 3, 6, 3, 7, 3, 8, 3.0])
    right = np.array([8, 2.5, 5.5, 2.5, 5.5, 2.5, 7, 2.5])
    assert everything == pytest.approx(np.corrcoef(left, right)[0, 1])
    assert correlation_of_means == pytest.approx(-1)


def test_a_perfect_estimate_whatever_its_scale() -> None:
    exact = np.random.default_rng(0).normal(size=(3, 5, 2))
    assert correlation(3 * exact + 1, exact) == (pytest.approx(1), pytest.approx(1))
    assert correlation(-exact, exact) == (pytest.approx(-1), pytest.approx(-1))
    assert correlation(exact**3, exact)[0] == pytest.approx(1)


@pytest.mark.filterwarnings("error")
def test_constants_have_no_correlation() -> None:
    zeros, some = np.zeros((2, 3, 2)), np.random.default_rng(0).normal(size=(2, 3, 2))
    for pair in ((zeros, some), (some, zeros), (zeros, zeros)):
        assert all(math.isnan(value) for value in correlation(*pair))
    # The effects are constant at the deciding site alone.
    flat = some.copy()
    flat[:, :, 0] = 1
    everything, correlation_of_means = correlation(flat, some)
    assert not math.isnan(everything)
    assert math.isnan(correlation_of_means)


def test_restorations_are_told_apart() -> None:
    rising, falling = [[1, 0], [2, 0], [3, 0]], [[3, 0], [2, 0], [1, 0]]
    ours, theirs = made("a", [rising, rising]), made("a", [rising, falling])
    windowed = Restoration(ModuleKind.attention, 3)
    found = screening([ours], [theirs], (ATTENTION, windowed), Direction.denoising)
    assert found.correlation_of_means == {"attention": pytest.approx(1), "attention, window 3": pytest.approx(-1)}
    assert list(found.correlation) == ["attention", "attention, window 3"]
