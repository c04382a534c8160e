"""After tracing, or a failure in the middle of it, the models are as before; what cannot be traced is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.mediation.builders import close, deep_model, hooks_of, same_state, state_of
from tests.mediation.tracer_cases import (
    CONFIG,
    DEPTH,
    FACTS,
    FROM_BASE,
    GRID,
    facts_for,
    traced,
    tracer_of,
)
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.result import METRICS, Metric
from unlearning.mediation.screening import estimate
from unlearning.mediation.self_test import self_test
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy

pytestmark = pytest.mark.usefixtures("in_double")


TASKS: dict[str, Callable[[Tracer], object]] = {
    "trace": lambda tracer: tracer.trace(FACTS[:2], 1.0),
    "estimate": lambda tracer: estimate(tracer, FACTS[:2], 1.0),
    "knows": lambda tracer: tracer.knows(FACTS),
    "noise": lambda tracer: tracer.noise_scale(FACTS),
    "self-test": self_test,
}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@pytest.mark.grid
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("config", [GRID, FROM_BASE], ids=["noise", "base model"])
@each_task
def test_the_models_are_left_as_they_were(
    task: Callable[[Tracer], object], config: TraceConfig, training: bool
) -> None:
    if task is not TASKS["trace"]:
        config = replace(config, severed=[])
    tracer = tracer_of("gpt2", config)
    models = [parts.model for parts in (tracer.parts, tracer.base) if parts is not None]
    for model in models:
        model.train(training)
        next(model.parameters()).requires_grad_(False)
    before = [state_of(model) for model in models]
    task(tracer)
    assert all(same_state(state_of(model), state) for model, state in zip(models, before, strict=True))
    assert torch.is_grad_enabled()


@pytest.mark.grid
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("corruption", Corruption)
def test_dropout_is_off(corruption: Corruption, direction: Direction) -> None:
    """Dropout is off in both models while they are traced, and on again afterwards."""
    config = replace(CONFIG, corruption=corruption, direction=direction)
    models = [
        deep_model("gpt2", DEPTH, seed=seed, resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5).double()
        for seed in (0, 1)
    ]
    tracer = Tracer(models[0], config, models[1] if corruption is Corruption.base_model else None)
    without = traced(tracer, facts_for(config))
    for model in models:
        model.train()
    found = traced(tracer, facts_for(config))
    assert all(close(found[name], without[name], 0) for name in without)
    assert all(model.training for model in models)


@contextmanager
def broken(modules: list[nn.Module], after: int) -> Iterator[list[int]]:
    """Raise when these modules are called more than `after` times; the list counts their calls."""
    calls = [0]

    def hook(*_: object) -> None:
        calls[0] += 1
        if calls[0] > after:
            raise RuntimeError("broken on purpose")

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.grid
@each_task
@pytest.mark.parametrize("where", ["embeddings", "layer", "mlp", "attention", "norm", "head"])
def test_hooks_are_gone_after_any_exception(where: str, task: Callable[[Tracer], object]) -> None:
    """Any call may fail: in a clean or a corrupted run, in the pass for the first patched layers, in a batch."""
    config = replace(CONFIG, window=2, corruption=Corruption.noise)
    tracer = tracer_of("llama", config)
    model = tracer.parts.model.train()
    modules = {
        "embeddings": [anatomy.embeddings(model)],
        "layer": anatomy.layers(model),
        "mlp": [anatomy.part(layer, ModuleKind.mlp) for layer in anatomy.layers(model)],
        "attention": [anatomy.part(layer, ModuleKind.attention) for layer in anatomy.layers(model)],
        "norm": [anatomy.final_norm(model)],
        "head": [model.get_output_embeddings()],
    }[where]
    before = state_of(model)
    with broken(modules, 10**9) as calls:
        task(tracer)
    total = calls[0]
    assert total or task is TASKS["noise"]
    # The self-test makes many calls, of which every few are broken.
    for after in range(0, total, 1 + total // 12):
        with (
            broken(modules, after),
            # The self-test blames the architecture for any error.
            pytest.raises(InputError if task is self_test else RuntimeError, match="on purpose"),
        ):
            task(tracer)
        assert same_state(state_of(model), before)
        assert torch.is_grad_enabled()


def test_nothing_is_kept_from_one_trace_to_the_next() -> None:
    """A trace after a failed one gives the same scores as without it."""
    tracer = tracer_of("llama", GRID)
    before = traced(tracer, FACTS)
    with broken([anatomy.layers(tracer.parts.model)[1]], 2), pytest.raises(RuntimeError, match="on purpose"):
        tracer.trace(FACTS, 2.0)
    traced(tracer, FACTS[::-1])
    after = traced(tracer, FACTS)
    assert all(close(before[name], after[name], 0) for name in before)
    assert hooks_of(tracer.parts.model) == 0


def test_scores_that_are_not_finite_are_refused() -> None:
    tracer = tracer_of("olmo", CONFIG)
    with torch.no_grad():
        tracer.parts.model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"^fact a: the model's scores are not finite, so it cannot be traced$"):
        tracer.trace(FACTS, 1.0)


def test_a_missing_logit_difference_is_not_an_error() -> None:
    (trace,) = tracer_of("olmo", CONFIG).trace([FACTS[3]], 1.0)
    place = METRICS.index(Metric.LOGIT_DIFFERENCE)
    assert np.isnan(trace.patched[..., place]).all()
    assert np.isfinite(np.delete(trace.patched, place, -1)).all()


BASES: dict[str, tuple[str, dict[str, int]]] = {
    "family": ("gpt2", {}),
    "family that has all of the model's parameters": ("llama", {}),
    "fewer layers": ("olmo", {"depth": 2}),
    "more layers": ("olmo", {"depth": 4}),
    "width": ("olmo", {"hidden_size": 64}),
    "inner width": ("olmo", {"intermediate_size": 64}),
    "vocabulary": ("olmo", {"vocab_size": 64}),
    "heads": ("olmo", {"num_key_value_heads": 2}),
}


@pytest.mark.parametrize(("family", "changes"), BASES.values(), ids=BASES)
def test_a_base_of_another_shape_is_refused(family: str, changes: dict[str, int]) -> None:
    base = deep_model(family, **{"depth": DEPTH, **changes})
    with pytest.raises(InputError, match=r"^trace\.base_model: ") as raised:
        Tracer(deep_model("olmo", DEPTH), FROM_BASE, base)
    assert "\n" not in str(raised.value)


def test_a_missing_base_is_refused() -> None:
    with pytest.raises(InputError, match=r"^trace\.corruption=base_model: needs trace\.base_model, the model before"):
        Tracer(deep_model("olmo", DEPTH), FROM_BASE)


def test_refused_families_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^model_type=bloom: not supported"):
        Tracer(deep_model("bloom", DEPTH), CONFIG)
