"""The self-test passes where tracing is exact, and it names the family where tracing is not exact."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.families import EVERY_FAMILY
from tests.mediation.builders import deep_model, same_state, state_of
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, Direction, TraceConfig, TracedTokens, TraceMode
from unlearning.errors import InputError
from unlearning.mediation import prefix
from unlearning.mediation.self_test import self_test
from unlearning.mediation.tracer import Tracer
from unlearning.models import anatomy

DEPTH = 4
CONFIG = TraceConfig()


def refused(model: PreTrainedModel, config: TraceConfig = CONFIG) -> str:
    """Return the message with which the self-test refuses the tracer."""
    family = model.config.model_type
    with pytest.raises(InputError, match=f"^model_type={family}: cannot be traced( exactly)?: ") as raised:
        self_test(Tracer(model, config))
    message = str(raised.value)
    assert "\n" not in message
    assert message.count("model_type=") == 1
    return message


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_every_family_passes(family: str) -> None:
    model = deep_model(family, DEPTH)
    before = state_of(model)
    start = time.monotonic()
    self_test(Tracer(model, CONFIG))
    assert time.monotonic() - start < 5
    assert same_state(state_of(model), before)


@pytest.mark.grid
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("family", ["olmo", "gpt2", "gemma3_text", "qwen3"])
def test_every_precision_passes(family: str, dtype: torch.dtype) -> None:
    """The weights have the usual scale here; those of the tiny models are so large that half precision is nats off."""
    model = deep_model(family, DEPTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.25 if parameter.dim() > 1 else 1)
    self_test(Tracer(model.to(dtype), CONFIG))


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_any_depth_passes(depth: int) -> None:
    self_test(Tracer(deep_model("llama", depth), CONFIG))


SETTINGS = {
    "grid": replace(CONFIG, tokens=TracedTokens.grid, window=3, severed=[ModuleKind.mlp]),
    "replacement": replace(CONFIG, corruption=Corruption.replacement),
    "noising": replace(CONFIG, direction=Direction.noising),
    "weights": replace(CONFIG, mode=TraceMode.weights, kinds=[ModuleKind.mlp]),
    "screen": replace(CONFIG, mode=TraceMode.screen),
    "layer": replace(CONFIG, kinds=[ModuleKind.layer], select=ModuleKind.layer),
    "little memory": replace(CONFIG, memory_gib=1e-9),
}


@pytest.mark.by_default("grid", "weights", "little memory")
@pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS)
def test_whatever_is_traced_the_model_is_tested(config: TraceConfig) -> None:
    self_test(Tracer(deep_model("llama", DEPTH), config))
    unsound = deep_model("llama", DEPTH)
    remembering(unsound.model.layers[1])
    refused(unsound, config)


def test_a_model_with_a_base_is_tested_itself() -> None:
    model, base = deep_model("llama", DEPTH), deep_model("llama", DEPTH, seed=1)
    self_test(Tracer(model, replace(CONFIG, corruption=Corruption.base_model), base))


# ---------------------------------------------------------------- what it must see


def remembering(module: nn.Module) -> None:
    """Make a module read earlier tokens in another way than through the cache."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        mixed = hidden + 0.3 * hidden.cumsum(1)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    module.register_forward_hook(hook)


def mixing_rows(module: nn.Module) -> None:
    """Make a module's rows depend on one another, as batch normalisation does."""
    module.register_forward_hook(lambda _module, _inputs, output: output - output.mean(0, keepdim=True))


def looking_ahead(module: nn.Module) -> None:
    """Make a module's tokens depend on later ones."""
    module.register_forward_hook(lambda _module, _inputs, output: output + 0.3 * output.flip(1))


def wandering(module: nn.Module) -> None:
    """Make a module return something else at each call."""
    calls = [0]

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        calls[0] += 1
        return output + 0.1 * calls[0]

    module.register_forward_hook(hook)


@pytest.mark.parametrize("number", range(DEPTH))
@pytest.mark.parametrize("breaks", [remembering, mixing_rows, looking_ahead, wandering])
def test_a_layer_that_does_what_layers_do_not(breaks: Callable[[nn.Module], None], number: int) -> None:
    model = deep_model("llama", DEPTH)
    breaks(model.model.layers[number].mlp)
    refused(model)


@pytest.mark.parametrize("kind", [ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention])
def test_whichever_part_is_traced(kind: ModuleKind) -> None:
    model = deep_model("llama", DEPTH)
    remembering(model.model.layers[1])
    refused(model, replace(CONFIG, kinds=[kind], select=kind))


def test_a_cache_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every row the prefix of another row."""
    original = prefix._PrefixLayer.update

    def wrong(self: Any, keys: Tensor, values: Tensor, *rest: Any, **named: Any) -> Any:
        before = self.keys
        self.keys = torch.zeros_like(before)
        found = original(self, keys, values, *rest, **named)
        self.keys = before
        return found

    monkeypatch.setattr(prefix._PrefixLayer, "update", wrong)
    refused(deep_model("llama", DEPTH))


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [3, 2, 1, 0], [0, 1, 3, 2], [0, 2, 1, 3]])
def test_layers_in_another_order(order: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    model = deep_model("llama", DEPTH)
    layers = anatomy.layers(model)
    monkeypatch.setattr(anatomy, "layers", lambda _model: [layers[place] for place in order])
    refused(model)


@pytest.mark.parametrize("norm", ["input_layernorm", "post_attention_layernorm"])
def test_a_final_norm_that_is_not_the_last(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = deep_model("llama", DEPTH)
    monkeypatch.setattr(anatomy, "final_norm", lambda _model: getattr(model.model.layers[-1], norm))
    refused(model)


WRONG_PARTS = {
    "the attention's norm for an MLP": (ModuleKind.mlp, "input_layernorm"),
    "the keys for an MLP": (ModuleKind.mlp, "self_attn.k_proj"),
    "the values for the attention": (ModuleKind.attention, "self_attn.v_proj"),
}


@pytest.mark.parametrize(("kind", "path"), WRONG_PARTS.values(), ids=WRONG_PARTS)
def test_a_part_that_later_tokens_read_within_the_layer(
    kind: ModuleKind, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = deep_model("llama", DEPTH)
    original = anatomy.part

    def wrong(layer: nn.Module, wanted: ModuleKind) -> nn.Module:
        return layer.get_submodule(path) if wanted is kind else original(layer, wanted)

    monkeypatch.setattr(anatomy, "part", wrong)
    refused(model)


@pytest.mark.parametrize("number", [0, DEPTH // 2])
def test_a_wrong_part_of_one_layer(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The changed layer is the first one or a middle one."""
    model = deep_model("llama", DEPTH)
    original, unlike = anatomy.part, model.model.layers[number]

    def wrong(layer: nn.Module, wanted: ModuleKind) -> nn.Module:
        mistaken = layer is unlike and wanted is ModuleKind.mlp
        return layer.input_layernorm if mistaken else original(layer, wanted)

    monkeypatch.setattr(anatomy, "part", wrong)
    assert f"mlp of layer {number} " in refused(model)


def test_numbers_that_are_not_finite() -> None:
    model = deep_model("llama", DEPTH)
    with torch.no_grad():
        model.lm_head.weight[5] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        self_test(Tracer(model, CONFIG))
