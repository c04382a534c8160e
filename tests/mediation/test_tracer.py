"""What must hold for tracing, whatever the model and the settings."""

import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.mediation.builders import close, deep_model, random_fact
from tests.mediation.tracer_cases import (
    CONFIG,
    DEPTH,
    FACTS,
    REPLACED,
    each_setting,
    facts_for,
    traced,
    tracer_of,
)
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceConfig, TracedTokens
from unlearning.mediation import model_parts
from unlearning.mediation.patch_batch import PatchBatch
from unlearning.mediation.patched_scores import patched_scores
from unlearning.mediation.tracer import Tracer
from unlearning.models.cache_name import CACHE_NAME
from unlearning.models.capabilities import Capabilities

pytestmark = pytest.mark.usefixtures("in_double")


# ---------------------------------------------------------------- order, other facts, memory


@pytest.mark.by_default("gemma2-denoising")
@each_setting
@pytest.mark.parametrize("family", ["olmo", "gpt2", "gemma2"])
def test_neither_the_order_nor_the_other_facts_matter(family: str, config: TraceConfig) -> None:
    tracer = tracer_of(family, config)
    facts = facts_for(config)
    together = traced(tracer, facts)
    assert list(together) == [fact.source.id for fact in facts]
    backwards = traced(tracer, facts[::-1])
    assert list(backwards) == [fact.source.id for fact in facts[::-1]]
    for fact in facts:
        alone = traced(tracer, [fact])[fact.source.id]
        assert close(together[fact.source.id], backwards[fact.source.id], 1e-12)
        assert close(together[fact.source.id], alone, 1e-12)


@pytest.mark.by_default("base model")
@each_setting
def test_the_same_twice_is_the_same_to_the_bit(config: TraceConfig) -> None:
    tracer, again = tracer_of("olmo", config), tracer_of("olmo", config)
    first, second = traced(tracer, facts_for(config)), traced(again, facts_for(config))
    assert all(close(first[name], second[name], 0) for name in first)


def test_the_size_of_the_noise_does_not_depend_on_the_order() -> None:
    tracer = tracer_of("olmo", CONFIG)
    assert tracer.noise_scale(FACTS) == tracer.noise_scale(FACTS[::-1]) > 0
    assert Tracer(tracer.parts.model, REPLACED).noise_scale(FACTS) == 0


def test_the_size_of_the_noise_is_that_of_the_tokens_embeddings() -> None:
    """It is noise_std times the standard deviation over all elements of all tokens, repeated ones as often."""
    tracer, tokens = tracer_of("olmo", CONFIG), [5, 9, 9, 40]
    elements = tracer.parts.model.get_input_embeddings().weight[tokens].flatten().tolist()
    assert tracer.noise_scale_of(tokens) == pytest.approx(CONFIG.noise_std * statistics.stdev(elements), rel=1e-9)
    assert Tracer(tracer.parts.model, REPLACED).noise_scale_of(tokens) == 0


@pytest.mark.by_default("noising-0.001")
@pytest.mark.parametrize("gib", [1e-9, 1e-3])
@each_setting
def test_the_memory_budget_does_not_matter(config: TraceConfig, gib: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = patched_scores

    def counting(batch: PatchBatch, *rest: Any) -> Any:
        sizes.append(len(batch.origins()))
        return original(batch, *rest)

    monkeypatch.setattr("unlearning.mediation.tracer.patched_scores", counting)
    facts = facts_for(config)[:1]
    whole = traced(tracer_of("llama", config), facts)
    at_once = len(sizes)
    small = traced(tracer_of("llama", replace(config, memory_gib=gib)), facts)
    assert len(sizes) - at_once > at_once
    assert all(close(whole[name], small[name], 1e-12) for name in whole)


@pytest.mark.by_default("gpt_neo-denoising", "mistral-noising")
@each_setting
@pytest.mark.parametrize("family", ["olmo", "mistral", "gpt_neo"])
def test_a_model_that_caches_nothing_gives_the_same_numbers(family: str, config: TraceConfig) -> None:
    caching, whole = tracer_of(family, config), tracer_of(family, config)
    whole.parts = replace(whole.parts, caches=False)
    whole.base = whole.base and replace(whole.base, caches=False)
    one, other = traced(caching, facts_for(config)), traced(whole, facts_for(config))
    assert all(close(one[name], other[name], 1e-11) for name in one)


def test_without_a_cache_no_model_is_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Capabilities("olmo", True, packs=False, branches=False, self_test=None)
    monkeypatch.setattr(model_parts, "capabilities", lambda _model: found)
    tracer = tracer_of("olmo", CONFIG)
    given: list[Any] = []

    def look(_module: nn.Module, _inputs: Any, settings: dict[str, Any]) -> None:
        given.append(settings.get(CACHE_NAME))

    handle = tracer.parts.model.register_forward_pre_hook(look, with_kwargs=True)
    tracer.trace(FACTS[:3], 1.0)
    handle.remove()
    assert given == [None] * len(given)
    assert len(given) >= 4


@pytest.mark.parametrize(("caches", "wanted"), [(True, (11, 1)), (False, (12, 0))])
def test_what_a_batch_must_hold(caches: bool, wanted: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest text counts, by its tokens fed and its tokens in the cache; without a cache it is fed as a whole."""
    asked: list[tuple[int, int]] = []

    def remembering(_gib: float, _model: nn.Module, tokens: int, prefix: int) -> int:
        asked.append((tokens, prefix))
        return 100

    monkeypatch.setattr("unlearning.mediation.tracer.rows_within", remembering)
    tracer = tracer_of("olmo", CONFIG)
    tracer.parts = replace(tracer.parts, caches=caches)
    tracer.trace([FACTS[1], random_fact("e", range(2, 3), 8, 13)], 1.0)
    assert asked == [wanted]


# ---------------------------------------------------------------- half precision


@each_setting
def test_what_the_shape_of_a_batch_does_to_all_rows_cancels(config: TraceConfig) -> None:
    """The norm's output is made to depend on the number of its rows, as it does by rounding in half precision."""
    config = replace(config, tokens=TracedTokens.subject, window=1)
    tracer = tracer_of("olmo", config)

    def shaken(_module: nn.Module, _inputs: Any, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + 0.01 * len(hidden) * torch.arange(32).sin()

    for parts in (tracer.parts, tracer.base or tracer.parts):
        parts.norm.register_forward_hook(shaken)
    for trace in traced(tracer, facts_for(config)).values():
        found = trace.patched[:, DEPTH - 1]
        unpatched = trace.clean if config.direction is Direction.noising else trace.corrupted
        np.testing.assert_allclose(found, np.broadcast_to(unpatched, found.shape), rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scores_of_a_half_precision_model_are_in_full_precision(dtype: torch.dtype) -> None:
    """The logits are rounded, but log-probabilities made of them are not rounded again."""
    for trace in Tracer(deep_model("olmo", DEPTH).to(dtype), CONFIG).trace(FACTS, 1.0):
        scores = torch.tensor(trace.corrupted[:, [1, 3]])
        assert not (scores == scores.to(dtype)).any()


# ---------------------------------------------------------------- noise, knowledge


def test_noise_depends_on_seed_and_fact_alone() -> None:
    model = deep_model("olmo", DEPTH).double()
    (trace,) = Tracer(model, CONFIG).trace(FACTS[:1], 1.0)
    (other_seed,) = Tracer(model, replace(CONFIG, seed=2)).trace(FACTS[:1], 1.0)
    renamed = replace(FACTS[0], source=replace(FACTS[0].source, id="renamed"))
    (other_fact,) = Tracer(model, CONFIG).trace([renamed], 1.0)
    (fewer,) = Tracer(model, replace(CONFIG, draws=2, kinds=[ModuleKind.mlp])).trace(FACTS[:1], 1.0)
    assert np.array_equal(trace.clean, other_seed.clean)
    assert not np.isclose(trace.corrupted, other_seed.corrupted).any()
    assert not np.isclose(trace.corrupted, other_fact.corrupted).any()
    assert trace.corrupted[:2] == pytest.approx(fewer.corrupted, abs=1e-12)
    assert len(np.unique(trace.corrupted[:, 1])) == 3


def test_knows() -> None:
    model = deep_model("olmo", DEPTH).double()
    tracer = Tracer(model, CONFIG)
    wanted, asked = [], []
    for fact in FACTS:
        with torch.no_grad():
            best = int(model(torch.tensor([fact.input_ids])).logits[0, fact.answer_start - 1].argmax())
        for token in (best, (best + 1) % 96):
            ids = (*fact.prompt, token, *fact.answer[1:])
            asked.append(replace(fact, input_ids=ids))
            wanted.append(token == best)
    assert tracer.knows(asked) == wanted
    assert tracer.knows(asked[::-1]) == wanted[::-1]
    assert [tracer.knows([fact]) for fact in asked] == [[knows] for knows in wanted]
