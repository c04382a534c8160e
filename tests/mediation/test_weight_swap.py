"""Exchanged weights equal copies of whole models, find planted changes, and leave both models as they were."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.mediation.builders import deep_model, random_fact
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Direction, TraceConfig, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.result import METRICS, Scores, indirect
from unlearning.mediation.states import Site
from unlearning.mediation.weight_swap import ancestry, ancestry_warning, exchanged, trace_weights
from unlearning.models import anatomy

DEPTH = 4
FOIL = 7
FAMILIES = ["gpt2", "llama", "gpt_neox", "opt"]
KINDS = [ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention]
FACTS = [random_fact("a", range(2, 5), 8, 11), random_fact("b", range(0, 1), 4, 5)]


def config_of(direction: Direction, kinds: Sequence[ModuleKind] = KINDS) -> TraceConfig:
    return TraceConfig(mode=TraceMode.weights, direction=direction, kinds=list(kinds))


def plain_score(model: PreTrainedModel, facts: Sequence[EncodedFact]) -> Scores:
    """Return the four metrics of each fact; the foil's answer differs at its first token, which is `FOIL`."""
    rows = []
    for fact in facts:
        logits = model(input_ids=torch.tensor([fact.input_ids])).logits[0].double()
        places = range(fact.answer_start, len(fact.input_ids))
        logs = [float(torch.log_softmax(logits[place - 1], -1)[fact.input_ids[place]]) for place in places]
        first = logits[fact.answer_start - 1]
        contrast = float(first[fact.answer[0]] - first[FOIL])
        rows.append([np.exp(logs[0]), logs[0], contrast, np.mean(logs)])
    return np.array(rows)


def perturbed(model: PreTrainedModel, scale: float = 0.05) -> PreTrainedModel:
    """Return a copy with noise on every parameter, as if from another stage of training."""
    generator = torch.Generator().manual_seed(1)
    copy = deepcopy(model)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator).to(parameter)
    return copy


def snapshot(model: PreTrainedModel) -> list[tuple[str, torch.Tensor, int, torch.Tensor]]:
    """Return every parameter and buffer by each of its names: the object itself, its memory and its values."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return [(name, tensor, tensor.data_ptr(), tensor.detach().clone()) for name, tensor in named]


def assert_unchanged(model: PreTrainedModel, before: list[tuple[str, torch.Tensor, int, torch.Tensor]]) -> None:
    after = snapshot(model)
    assert [name for name, *_ in after] == [name for name, *_ in before]
    for (_, tensor, place, values), (_, old, old_place, old_values) in zip(after, before, strict=True):
        assert tensor is old
        assert place == old_place
        assert values.dtype == old_values.dtype
        assert torch.equal(values, old_values)


def modules_of(model: PreTrainedModel, layer: int, kind: ModuleKind) -> list[nn.Module]:
    """Return the part's modules; OPT's MLP is two linear modules of the layer itself."""
    found = anatomy.layers(model)[layer]
    if kind is ModuleKind.mlp and hasattr(found, "fc1"):
        return [found.fc1, found.fc2]
    return [anatomy.part(found, kind)]


def naive_patched(host: PreTrainedModel, donor: PreTrainedModel) -> Scores:
    """Return the scores (K, L, facts, M) of copies of the host, each with one part's weights loaded from the donor."""
    found = []
    for kind in KINDS:
        for layer in range(DEPTH):
            copy = deepcopy(host)
            for own, given in zip(modules_of(copy, layer, kind), modules_of(donor, layer, kind), strict=True):
                own.load_state_dict(given.state_dict())
            with torch.no_grad():
                found.append(plain_score(copy, FACTS))
    return np.array(found).reshape(len(KINDS), DEPTH, len(FACTS), len(METRICS))


@pytest.mark.grid
@pytest.mark.parametrize("base_dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_copies_of_the_whole_model(family: str, direction: Direction, base_dtype: torch.dtype) -> None:
    """The base may have another dtype: what is put in is converted, and the host keeps its own."""
    model = deep_model(family, DEPTH).double().eval()
    base = perturbed(model).to(base_dtype)
    before = snapshot(model), snapshot(base)
    traces = trace_weights(model, base, FACTS, config_of(direction), plain_score)
    assert_unchanged(model, before[0])
    assert_unchanged(base, before[1])
    expected = naive_patched(*((model, base) if direction is Direction.noising else (base, model)))
    with torch.no_grad():
        clean, corrupted = plain_score(model, FACTS), plain_score(base, FACTS)
    assert len(traces) == len(FACTS)
    for index, trace in enumerate(traces):
        assert (trace.fact, trace.person) == (FACTS[index].source.id, FACTS[index].source.person)
        assert trace.sites == (Site("weights", ()),)
        assert trace.tokens == ()
        assert trace.placebo is None
        assert trace.clean == pytest.approx(clean[index], abs=1e-12)
        assert trace.corrupted == pytest.approx(corrupted[index, None], abs=1e-12)
        assert trace.patched.shape == (len(KINDS), DEPTH, 1, 1, len(METRICS))
        assert trace.patched[:, :, 0, 0] == pytest.approx(expected[:, :, index], abs=1e-12)
        # Every part must have an effect, or the comparison would be of equal numbers.
        unpatched = (clean if direction is Direction.noising else corrupted)[index]
        assert np.abs(trace.patched[:, :, 0, 0] - unpatched).max(-1).min() > 1e-6


@pytest.mark.by_default("opt-denoising", "gpt2-noising")
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("family", FAMILIES)
def test_one_changed_mlp_carries_all_of_the_effect(family: str, direction: Direction) -> None:
    base = deep_model(family, DEPTH).double()
    model = deepcopy(base)
    with torch.no_grad():
        for module in modules_of(model, 2, ModuleKind.mlp):
            for parameter in module.parameters():
                parameter += 0.1
    for trace in trace_weights(model, base, FACTS, config_of(direction), plain_score):
        total = trace.clean - trace.corrupted[0]
        assert np.abs(total).min() > 1e-6
        effects = indirect(trace.patched, trace.clean, trace.corrupted, direction)[:, :, 0, 0]
        expected = np.zeros((len(KINDS), DEPTH, len(METRICS)))
        expected[KINDS.index(ModuleKind.layer), 2] = expected[KINDS.index(ModuleKind.mlp), 2] = total
        assert effects == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("direction", Direction)
def test_one_evaluation_a_part_and_one_of_each_model(direction: Direction) -> None:
    """All facts are scored together, in evaluation mode and without gradients."""
    model = deep_model("gpt2", DEPTH)
    base = perturbed(model)
    asked: list[PreTrainedModel] = []

    def score(scored: PreTrainedModel, facts: Sequence[EncodedFact]) -> Scores:
        assert list(facts) == FACTS
        assert not model.training
        assert not base.training
        assert not torch.is_grad_enabled()
        asked.append(scored)
        return np.zeros((len(facts), len(METRICS)))

    base.train()
    trace_weights(model, base, FACTS, config_of(direction, [ModuleKind.mlp]), score)
    host = model if direction is Direction.noising else base
    assert asked == [model, base, *[host] * DEPTH]
    assert base.training
    assert not model.training


@pytest.mark.parametrize("evaluations", [0, 1, 2, 7])
@pytest.mark.parametrize("direction", Direction)
def test_a_failure_leaves_both_models_as_they_were(direction: Direction, evaluations: int) -> None:
    model = deep_model("llama", DEPTH)
    base = perturbed(model)
    before = snapshot(model), snapshot(base)
    calls: list[PreTrainedModel] = []

    def score(scored: PreTrainedModel, facts: Sequence[EncodedFact]) -> Scores:
        if len(calls) == evaluations:
            raise RuntimeError("out of memory")
        calls.append(scored)
        return plain_score(scored, facts)

    with pytest.raises(RuntimeError, match="out of memory"):
        trace_weights(model, base, FACTS, config_of(direction), score)
    assert_unchanged(model, before[0])
    assert_unchanged(base, before[1])


def small_part(value: float, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Two linear modules that share one tied weight, and a buffer."""
    part = nn.Module()
    part.linear = nn.Linear(2, 2, bias=False).to(dtype)
    part.tied = nn.Linear(2, 2, bias=False)
    part.tied.weight = part.linear.weight
    part.register_buffer("scale", torch.full((3,), value, dtype=dtype))
    with torch.no_grad():
        part.linear.weight.fill_(value)
    return part


def test_buffers_are_exchanged_too_and_the_hosts_dtype_stays() -> None:
    part, donor = small_part(1.0), small_part(2.0, torch.float64)
    weight, scale = part.linear.weight, part.scale
    with exchanged(part, donor, ModuleKind.layer):
        assert torch.equal(part.linear.weight, torch.full((2, 2), 2.0))
        assert torch.equal(part.tied.weight, torch.full((2, 2), 2.0))
        assert torch.equal(part.scale, torch.full((3,), 2.0))
    assert part.linear.weight is weight
    assert part.tied.weight is weight
    assert part.scale is scale
    assert torch.equal(weight, torch.ones(2, 2))
    assert torch.equal(scale, torch.ones(3))


def test_nothing_is_copied_between_models_of_one_dtype() -> None:
    part, donor = small_part(1.0), small_part(2.0)
    with exchanged(part, donor, ModuleKind.layer):
        assert part.linear.weight.data_ptr() == donor.linear.weight.data_ptr()
        assert part.scale.data_ptr() == donor.scale.data_ptr()


def test_a_tied_weight_outside_the_layer_stays() -> None:
    part, outside = small_part(1.0), small_part(1.0)
    outside.linear.weight = part.linear.weight
    with exchanged(part, small_part(2.0), ModuleKind.layer):
        assert torch.equal(outside.linear.weight, torch.ones(2, 2))
        assert torch.equal(part.linear.weight, torch.full((2, 2), 2.0))
    assert outside.linear.weight is part.linear.weight


@pytest.mark.parametrize(
    ("family", "depth", "changes", "message"),
    [
        ("llama", 3, {}, "has 3 layers, but the model 4; they must be as many"),
        (
            "llama",
            DEPTH,
            {"intermediate_size": 40},
            r"mlp.down_proj.weight of layer 0 is \(32, 40\), but \(32, 48\) in the model",
        ),
        ("llama", DEPTH, {"mlp_bias": True}, r"mlp.down_proj.bias of layer 0 is \(32,\), but missing in the model"),
        ("gpt2", DEPTH, {}, r"mlp.c_fc.bias of layer 0 is \(128,\), but missing in the model"),
    ],
    ids=["depth", "width", "bias", "family"],
)
def test_a_base_of_other_parts_is_refused_before_anything(
    family: str, depth: int, changes: dict[str, object], message: str
) -> None:
    def score(_model: PreTrainedModel, _probes: Sequence[EncodedFact]) -> Scores:
        raise AssertionError("must not be called")

    model, base = deep_model("llama", DEPTH), deep_model(family, depth, **changes)
    base.config.name_or_path = "some/base"
    with pytest.raises(InputError, match=f"^trace.base_model=some/base: {message}") as raised:
        trace_weights(model, base, FACTS, config_of(Direction.noising, [ModuleKind.mlp]), score)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"^trace.base_model=some/base: .*"):
        ancestry(model, base)


def test_ancestry_of_known_distance() -> None:
    """The norm of every matrix is a quarter larger than that of its base; vectors do not count."""
    base = deep_model("gpt2", DEPTH).double()
    model = deepcopy(base)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.25 if parameter.dim() > 1 else 100.0
    assert ancestry(base, base) == 0.0
    assert ancestry(model, base) == pytest.approx(0.25, rel=1e-12)
    assert ancestry(base, model) == pytest.approx(0.2, rel=1e-12)
    assert ancestry(model.float(), base) == pytest.approx(0.25, rel=1e-5)


def test_strangers_are_warned_of_and_relatives_are_not() -> None:
    model = deep_model("llama", DEPTH)
    stranger = perturbed(model)
    with torch.no_grad():
        for parameter in stranger.parameters():
            parameter.normal_(0.0, 0.4)
    distance = ancestry(model, stranger)
    assert distance == pytest.approx(2**0.5, rel=0.05)
    warning = ancestry_warning(distance)
    assert warning is not None
    assert warning.startswith("trace.base_model: its weights differ from the model's by 14")
    assert "\n" not in warning
    assert ancestry_warning(ancestry(model, perturbed(model))) is None
    assert ancestry_warning(0.5) is None


def test_a_base_of_zeros_is_infinitely_far() -> None:
    model = deep_model("olmo", DEPTH)
    zeros = deepcopy(model)
    with torch.no_grad():
        for parameter in zeros.parameters():
            parameter.zero_()
    assert ancestry(model, zeros) == float("inf")
    assert ancestry(zeros, zeros) == 0.0
    assert ancestry_warning(float("inf")) is not None
