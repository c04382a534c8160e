"""What must hold of tracing whatever the model, and what hooks must not do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.mediation.builders import deep_model, random_probe
from unlearning.config import ModuleKind, TraceConfig, TracedTokens
from unlearning.errors import InputError
from unlearning.mediation.batches import restoring
from unlearning.mediation.hooks import edited
from unlearning.mediation.result import FactTrace
from unlearning.mediation.states import Site
from unlearning.mediation.tracing import Tracer
from unlearning.models import anatomy

DEPTH = 3
PROBE = random_probe("a", range(2, 5), 8, 11)
OTHERS = [random_probe(name, range(1, 3), 6, 9) for name in "bcd"]
CONFIG = TraceConfig(draws=3, seed=1)


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def equal(one: FactTrace, other: FactTrace) -> bool:
    pairs = ((getattr(one, key), getattr(other, key)) for key in ("clean", "corrupted", "restored"))
    return replace(one, clean=other.clean, corrupted=other.corrupted, restored=other.restored) == other and all(
        np.array_equal(left, right) for left, right in pairs
    )


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox", "llama"])
def test_restoring_everything_is_the_clean_run(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = (Site("subject", tuple(range(len(PROBE.input_ids) - 1))),)
    monkeypatch.setattr("unlearning.mediation.tracing.sites_of", lambda _probe, _tokens: everywhere)
    tracer = Tracer(
        deep_model(family, DEPTH).double(), replace(CONFIG, kinds=[ModuleKind.block], select=ModuleKind.block)
    )
    trace = tracer.trace(PROBE, 5.0)
    assert np.abs(trace.corrupted - trace.clean).min() > 1e-6
    assert trace.restored == pytest.approx(np.broadcast_to(trace.clean, trace.restored.shape), abs=1e-10)


def test_the_last_block_at_the_subject_is_read_by_no_one() -> None:
    tracer = Tracer(deep_model("olmo", DEPTH).double(), CONFIG)
    trace = tracer.trace(PROBE, 5.0)
    assert trace.restored[:, DEPTH - 1, 0] == pytest.approx(np.stack([trace.corrupted] * 3), abs=1e-12)


def test_last_block_at_the_last_position_is_the_clean_first_token() -> None:
    tracer = Tracer(deep_model("olmo", DEPTH).double(), replace(CONFIG, tokens=TracedTokens.grid))
    trace = tracer.trace(PROBE, 5.0)
    block = tracer.kinds.index(ModuleKind.block)
    assert trace.sites[-1].group == "last"
    assert trace.restored[block, DEPTH - 1, -1, :, 0] == pytest.approx(trace.clean[0], abs=1e-10)


def test_a_hook_that_changes_nothing_changes_nothing() -> None:
    model = deep_model("gpt2", DEPTH)
    ids = torch.tensor([PROBE.input_ids])
    with torch.no_grad():
        plain = model(ids).logits
        modules = [anatomy.part(block, kind) for block in anatomy.blocks(model) for kind in ModuleKind]
        with edited(dict.fromkeys(modules, lambda hidden: hidden)):
            assert torch.equal(model(ids).logits, plain)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model = deep_model("gpt2", DEPTH).train(training)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    Tracer(model, CONFIG).trace(PROBE, 1.0)
    assert hooks_of(model) == 0
    assert model.training is training
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_hooks_are_gone_after_an_exception() -> None:
    model = deep_model("llama", DEPTH)

    def broken(_hidden: Tensor) -> Tensor:
        raise RuntimeError("broken on purpose")

    tracer = Tracer(model, CONFIG)
    with (
        edited({anatomy.blocks(model)[1]: broken}),
        pytest.raises(RuntimeError, match="on purpose"),
    ):
        tracer.trace(PROBE, 1.0)
    assert hooks_of(model) == 0
    assert not model.training


def test_hooks_are_gone_after_one_could_not_be_set() -> None:
    model = deep_model("llama", DEPTH)
    with pytest.raises(AttributeError), edited({model.model: torch.clone, "no module": torch.clone}):  # type: ignore[dict-item]
        pytest.fail("unreachable")
    assert hooks_of(model) == 0


def test_same_facts_same_numbers_in_any_order_and_company() -> None:
    model = deep_model("olmo", DEPTH)
    probes = [PROBE, *OTHERS]
    first, second = Tracer(model, CONFIG), Tracer(model, CONFIG)
    scale = first.noise_scale(probes)
    assert second.noise_scale(probes[::-1]) == scale
    traces = {probe.fact.id: first.trace(probe, scale) for probe in probes}
    for probe in reversed(probes):
        assert equal(second.trace(probe, scale), traces[probe.fact.id])


def test_noise_depends_on_seed_and_fact() -> None:
    model = deep_model("olmo", DEPTH)
    trace = Tracer(model, CONFIG).trace(PROBE, 1.0)
    other_seed = Tracer(model, replace(CONFIG, seed=2)).trace(PROBE, 1.0)
    renamed = replace(PROBE, fact=replace(PROBE.fact, id="renamed"))
    other_fact = Tracer(model, CONFIG).trace(renamed, 1.0)
    assert np.array_equal(trace.clean, other_seed.clean)
    assert not np.array_equal(trace.corrupted, other_seed.corrupted)
    assert not np.array_equal(trace.corrupted, other_fact.corrupted)
    assert len(np.unique(trace.corrupted[:, 1])) == 3


@pytest.mark.parametrize("family", ["olmo", "gpt2"])
@pytest.mark.parametrize("planted", [0, 1])
def test_planted_truth(family: str, planted: int) -> None:
    """Where all MLPs but one give nothing, only that one's can have an effect."""
    model = deep_model(family, DEPTH).double()
    with torch.no_grad():
        for index, block in enumerate(anatomy.blocks(model)):
            if index != planted:
                for parameter in anatomy.part(block, ModuleKind.mlp).parameters():
                    parameter.zero_()
    trace = Tracer(model, replace(CONFIG, kinds=[ModuleKind.mlp])).trace(PROBE, 2.0)
    effects = np.abs(trace.restored[0, :, 0] - trace.corrupted).max((1, 2))
    assert effects[planted] > 1e-4
    assert np.delete(effects, planted) == pytest.approx(0, abs=1e-13)


def test_knows() -> None:
    model = deep_model("olmo", DEPTH)
    tracer = Tracer(model, CONFIG)
    with torch.no_grad():
        best = int(model(torch.tensor([PROBE.input_ids])).logits[0, PROBE.answer_start - 1].argmax())
    ids = list(PROBE.input_ids)
    ids[PROBE.answer_start] = best
    assert tracer.knows(replace(PROBE, input_ids=tuple(ids)))
    ids[PROBE.answer_start] = (best + 1) % 96
    assert not tracer.knows(replace(PROBE, input_ids=tuple(ids)))


def test_errors_are_one_line() -> None:
    model = deep_model("olmo", DEPTH)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="fact a: the model's scores are not finite"):
        Tracer(model, CONFIG).trace(PROBE, 1.0)
    with pytest.raises(InputError, match=r"of shape \(22, 32\), not \(rows, 11, 32\)"):
        restoring(torch.zeros(11, 32), torch.zeros(1, 2, dtype=torch.long))(torch.zeros(22, 32))
