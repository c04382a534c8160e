"""Gradient baselines equal a plain double loop, and they leave the model as it was."""

from copy import deepcopy
from math import sqrt

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.mediation.builders import deep_model, random_fact
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.gradients import layer_gradients
from unlearning.models import anatomy

DEPTH = 3
FORGET = [
    random_fact("a", range(2, 5), 8, 11),
    random_fact("b", range(0, 1), 4, 5),
    random_fact("c", range(1, 3), 6, 12),
]
RETAIN = [random_fact("d", range(1, 2), 5, 9), random_fact("e", range(0, 2), 1, 7)]


def parameters_of(layer: nn.Module, kind: ModuleKind) -> list[nn.Parameter]:
    """Return the modules of a part; OPT's MLP is two linear modules of the layer itself."""
    if kind is ModuleKind.mlp and hasattr(layer, "fc1"):
        return [*layer.fc1.parameters(), *layer.fc2.parameters()]
    return list(anatomy.part(layer, kind).parameters())


def naive_gradients(model: PreTrainedModel, facts: list[EncodedFact], kind: ModuleKind) -> list[list[torch.Tensor]]:
    """Return, for each fact and layer, the gradient of all the part's parameters in one vector, in float64."""
    model = deepcopy(model).requires_grad_(True)
    found = []
    for fact in facts:
        model.zero_grad()
        logits = model(input_ids=torch.tensor([fact.input_ids])).logits[0]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        places = range(fact.answer_start, len(fact.input_ids))
        logs = [torch.log_softmax(logits[place - 1], -1)[fact.input_ids[place]] for place in places]
        (-sum(logs) / len(logs)).backward()
        parts = [parameters_of(layer, kind) for layer in anatomy.layers(model)]
        found.append([torch.cat([parameter.grad.double().flatten() for parameter in part]) for part in parts])
    return found


def naive_ratios(model: PreTrainedModel, kind: ModuleKind) -> tuple[list[float], list[float]]:
    """Return the gradient and Fisher ratios of each layer."""
    gradient, fisher = [], []
    forget, retain = (naive_gradients(model, facts, kind) for facts in (FORGET, RETAIN))
    for layer in range(DEPTH):
        upper, lower = (torch.stack([fact[layer] for fact in side]) for side in (forget, retain))
        gradient.append(float(upper.mean(0).norm() / lower.mean(0).norm()))
        fisher.append(float(upper.square().sum(1).mean() / lower.square().sum(1).mean()))
    return gradient, fisher


@pytest.mark.grid
@pytest.mark.parametrize("kind", ModuleKind)
@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "olmo2", "opt"])
def test_equals_a_double_loop_of_backward_passes(family: str, kind: ModuleKind) -> None:
    model = deep_model(family, DEPTH).double().eval()
    found = layer_gradients(model, FORGET, RETAIN, kind)
    gradient, fisher = naive_ratios(model, kind)
    assert found.gradient == pytest.approx(gradient, rel=1e-10)
    assert found.fisher == pytest.approx(fisher, rel=1e-10)
    assert len(set(found.gradient)) == DEPTH


def test_weights_of_half_precision_are_accumulated_in_float32() -> None:
    """A gradient in bfloat16 has 3 digits; a sum in bfloat16 would be wrong in the third."""
    model = deep_model("llama", DEPTH).to(torch.bfloat16)
    found = layer_gradients(model, FORGET, RETAIN, ModuleKind.mlp)
    gradient, fisher = naive_ratios(model, ModuleKind.mlp)
    assert found.gradient == pytest.approx(gradient, rel=1e-6)
    assert found.fisher == pytest.approx(fisher, rel=1e-6)


def test_of_single_facts_fisher_is_the_gradients_square() -> None:
    found = layer_gradients(deep_model("olmo", DEPTH), FORGET[:1], RETAIN[:1], ModuleKind.attention)
    assert found.gradient == pytest.approx([sqrt(value) for value in found.fisher], rel=1e-6)


def test_facts_repeated_weigh_the_same() -> None:
    """The ratios are of means, not of sums."""
    model = deep_model("olmo", DEPTH).double()
    found = layer_gradients(model, FORGET * 3, FORGET, ModuleKind.mlp)
    assert found.gradient == pytest.approx([1.0] * DEPTH, rel=1e-12)
    assert found.fisher == pytest.approx([1.0] * DEPTH, rel=1e-12)


def test_order_does_not_matter_to_the_bit() -> None:
    model = deep_model("olmo", DEPTH)
    forward = layer_gradients(model, FORGET, RETAIN, ModuleKind.mlp)
    assert layer_gradients(model, FORGET[::-1], RETAIN[::-1], ModuleKind.mlp) == forward


def test_dropout_is_off_and_training_goes_on() -> None:
    model = deep_model("gpt2", DEPTH, resid_pdrop=0.5)
    expected = layer_gradients(model.eval(), FORGET, RETAIN, ModuleKind.mlp)
    assert layer_gradients(model.train(), FORGET, RETAIN, ModuleKind.mlp) == expected
    assert all(module.training for module in model.modules())


def test_works_where_gradients_are_off() -> None:
    model = deep_model("olmo", DEPTH).requires_grad_(False)
    with torch.no_grad():
        found = layer_gradients(model, FORGET, RETAIN, ModuleKind.mlp)
        assert not torch.is_grad_enabled()
    assert found == layer_gradients(deep_model("olmo", DEPTH), FORGET, RETAIN, ModuleKind.mlp)


@pytest.mark.parametrize("breaks", [False, True], ids=["well", "exception"])
def test_the_model_is_left_as_it_was(breaks: bool) -> None:
    model = deep_model("gpt2", DEPTH)
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number % 3 == 0)
        parameter.grad = torch.full_like(parameter, number) if number % 2 else None
    before = [(p, p.clone(), p.requires_grad, p.grad) for p in model.parameters()]
    if breaks:
        unknown = EncodedFact(FORGET[0].source, (1, 2, 9999, 3), range(0, 1), 3)
        with pytest.raises(IndexError):
            layer_gradients(model, FORGET, [unknown], ModuleKind.mlp)
    else:
        layer_gradients(model, FORGET, RETAIN, ModuleKind.mlp)
    for number, (now, (parameter, values, wanted, gradient)) in enumerate(zip(model.parameters(), before, strict=True)):
        assert now is parameter
        assert torch.equal(parameter, values)
        assert parameter.requires_grad == wanted == (number % 3 == 0)
        assert parameter.grad is gradient
        assert gradient is None or torch.equal(gradient, torch.full_like(values, number))
    assert not model.training


@pytest.mark.parametrize(("forget", "retain", "missing"), [(FORGET, [], "retain"), ([], RETAIN, "forget")])
def test_no_facts_are_refused(forget: list[EncodedFact], retain: list[EncodedFact], missing: str) -> None:
    with pytest.raises(InputError, match=f"^trace.rule=gradient or fisher: no {missing} facts to take gradients of.*$"):
        layer_gradients(deep_model("olmo", DEPTH), forget, retain, ModuleKind.mlp)


@pytest.mark.parametrize(("value", "size"), [(0.0, "0"), (float("nan"), "nan")])
def test_gradients_without_a_ratio_are_refused(value: float, size: str) -> None:
    """With a head of zeros every token has the same probability, whatever the layers compute."""
    model = deep_model("olmo", DEPTH)
    with torch.no_grad():
        model.get_output_embeddings().weight.fill_(value)
    wanted = f"layer 0's mlp has a gradient of size {size} on forget facts and {size} on retain facts"
    with pytest.raises(InputError, match=wanted) as raised:
        layer_gradients(model, FORGET, RETAIN, ModuleKind.mlp)
    assert "\n" not in str(raised.value)
