"""Freeze proofs: after a step exactly the scope has moved. Adapters: what they add, by hand."""

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from tests.tiny_models import tiny_model
from unlearning.config.scope import ModuleKind
from unlearning.errors import InputError
from unlearning.scopes.adapters import LoraScope, adapters_moved_to, in_4_bits
from unlearning.scopes.layers import AllScope, LayersScope, parse_layers
from unlearning.scopes.scope import Scope, trainable_names
from unlearning.scopes.traced import TracedScope
from unlearning.training.gradient_checkpointing import checkpoint_gradients

DEPTH = 4


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("3", [3]),
        ("0-2", [0, 1, 2]),
        ("0,2,4", [0, 2, 4]),
        ("5,0-1,1", [0, 1, 5]),
        ("-3:", [5, 6, 7]),
        (":2", [0, 1]),
        ("6:", [6, 7]),
        ("2:4", [2, 3]),
        ("6:10", [6, 7]),
        ("-9:", [0, 1, 2, 3, 4, 5, 6, 7]),
        (" 0 - 1 ", [0, 1]),
    ],
)
def test_parse_layers(text: str, layers: list[int]) -> None:
    """Every accepted form."""
    assert parse_layers(text, 8) == layers


@pytest.mark.parametrize("text", ["", "x", "0-8", "8", "9:", "3-1", "1-2-3", "4:4", "0,,1", "1:2:3", "-1"])
def test_parse_layers_refuses(text: str) -> None:
    """What is malformed, empty or outside the model."""
    with pytest.raises(InputError, match=r"scope\.layers"):
        parse_layers(text, 8)


def moved(family: str, scope: Scope, traced: list[int] | None = None) -> set[str]:
    """Names of the parameters that one step changes; all others are equal to the last bit."""
    model = tiny_model(family, num_hidden_layers=DEPTH, n_layer=DEPTH)
    scoped = scope.apply(model, traced)
    before = {name: parameter.detach().clone() for name, parameter in scoped.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in scoped.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    for _ in range(2):  # LoRA's A has no gradient before B has left zero
        optimizer.zero_grad()
        ids = torch.arange(3, 23).reshape(2, 10)
        scoped(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    changed = {name for name, parameter in scoped.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == set(trainable_names(scoped))
    return changed


def test_mlp_of_two_layers() -> None:
    """Names are exact."""
    expected = {f"model.layers.{b}.mlp.{n}_proj.weight" for b in (0, 1) for n in ("gate", "up", "down")}
    assert moved("olmo", LayersScope("0-1")) == expected


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox"])
def test_last_layers_whole(family: str) -> None:
    """Last-k in four families: nothing outside the last two layers moves, everything inside does."""
    changed = moved(family, LayersScope("-2:", [ModuleKind.layer]))
    assert changed
    assert all(".2." in name or ".3." in name for name in changed)


def test_attention_only() -> None:
    """MLPs stay."""
    changed = moved("llama", LayersScope("1", [ModuleKind.attention]))
    assert changed == {f"model.layers.1.self_attn.{n}_proj.weight" for n in "qkvo"}


def test_embeddings_and_head() -> None:
    """AILS-NTUA's first notebook leaves both trainable."""
    changed = moved("olmo", LayersScope("3", [ModuleKind.layer], embeddings=True, head=True))
    assert {"model.embed_tokens.weight", "lm_head.weight"} <= changed
    assert not any("layers.0" in name for name in changed)


def test_tied_embeddings_move_together_or_not_at_all() -> None:
    """One matrix cannot be frozen and free."""
    with pytest.raises(InputError, match="ties"):
        moved("gpt2", LayersScope("3", [ModuleKind.layer], embeddings=True, head=False))


def test_complement_of_mlps() -> None:
    """SHA256's frozen part turned round: MLPs of layers 0-1 stay, everything else moves."""
    model = tiny_model("olmo", num_hidden_layers=DEPTH)
    stay = {f"model.layers.{b}.mlp.{n}_proj.weight" for b in (0, 1) for n in ("gate", "up", "down")}
    everything = {name for name, _ in model.named_parameters()}
    assert moved("olmo", LayersScope("0-1", complement=True)) == everything - stay


def test_complement_of_embeddings_and_head() -> None:
    """They stay where they are named, and the final norm with the head."""
    scope = LayersScope("3", [ModuleKind.layer], embeddings=True, head=True, complement=True)
    changed = moved("llama", scope)
    assert {name.split(".")[2] for name in changed} == {"0", "1", "2"}
    assert all(name.startswith("model.layers.") for name in changed)


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox"])
def test_a_scope_and_its_complement_are_everything(family: str) -> None:
    """And have nothing in common."""
    names = {name for name, _ in tiny_model(family, num_hidden_layers=DEPTH, n_layer=DEPTH).named_parameters()}
    scoped, rest = (moved(family, LayersScope("1-2", [ModuleKind.attention], complement=c)) for c in (False, True))
    assert scoped | rest == names
    assert not scoped & rest


def test_complement_of_tied_embeddings_goes_for_both_or_neither() -> None:
    """As without it."""
    with pytest.raises(InputError, match="ties"):
        moved("gpt2", LayersScope("3", head=True, complement=True))
    changed = moved("gpt2", LayersScope("3", embeddings=True, head=True, complement=True))
    assert "transformer.wte.weight" not in changed
    assert "transformer.wpe.weight" in changed


def test_complement_of_everything() -> None:
    """Nothing is left to train."""
    with pytest.raises(InputError, match="no parameter is left"):
        moved("llama", LayersScope("all", [ModuleKind.layer], embeddings=True, head=True, complement=True))


def test_traced() -> None:
    """What the trace chose, upper layers frozen."""
    changed = moved("olmo", TracedScope(), [1, 2])
    assert {name.split(".")[2] for name in changed} == {"1", "2"}
    assert all(".mlp." in name for name in changed)


def test_all() -> None:
    """Everything moves."""
    model = tiny_model("olmo", num_hidden_layers=DEPTH)
    assert moved("olmo", AllScope()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox", "mistral"])
def test_lora(family: str) -> None:
    """Only adapters move, in the asked layers, whatever the architecture calls its layers."""
    changed = moved(family, LoraScope(rank=2, alpha=4.0, layers="1-2"))
    assert all("lora_" in name for name in changed)
    assert {part for name in changed for part in name.split(".") if part.isdigit()} == {"1", "2"}


UP = "model.layers.1.mlp.up_proj"


def adapted(scope: LoraScope) -> tuple[PeftModel, dict[str, Tensor]]:
    """A tiny model whose adapters are no longer zero, and what stands in the adapter on `UP`."""
    scoped = scope.apply(tiny_model("llama"), None)
    assert isinstance(scoped, PeftModel)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in scoped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.3, generator=generator)
    prefix = f"base_model.model.{UP}."
    parts = {name.removeprefix(prefix): p.detach().clone() for name, p in scoped.named_parameters() if prefix in name}
    return scoped, parts


def weight(model: nn.Module) -> Tensor:
    """Of the layer `UP`."""
    found = model.get_submodule(UP).weight
    assert isinstance(found, Tensor)
    return found.detach()


@pytest.mark.parametrize(("rslora", "factor"), [(False, 6.0 / 4), (True, 6.0 / 2)], ids=["lora", "rslora"])
def test_what_an_adapter_adds(rslora: bool, factor: float) -> None:
    """alpha / rank = 6 / 4 = 1.5, or alpha / sqrt(rank) = 6 / 2 = 3, times B @ A."""
    scoped, parts = adapted(LoraScope(rank=4, alpha=6.0, targets=["up"], rslora=rslora))
    added = parts["lora_B.default.weight"] @ parts["lora_A.default.weight"]
    merged = weight(scoped.merge_and_unload())
    torch.testing.assert_close(merged, weight(tiny_model("llama")) + factor * added)


def test_what_a_dora_adapter_makes_of_a_weight() -> None:
    """m * V / |V|, V = W + alpha / rank * B @ A, a length |V| for each output; m begins as the length of W."""
    scoped, parts = adapted(LoraScope(rank=4, alpha=6.0, targets=["up"], dora=True))
    start = weight(tiny_model("llama"))
    length = parts["lora_magnitude_vector.default.weight"]
    torch.testing.assert_close(length, start.norm(dim=1))
    turned = start + 1.5 * parts["lora_B.default.weight"] @ parts["lora_A.default.weight"]
    expected = length[:, None] * turned / turned.norm(dim=1, keepdim=True)
    torch.testing.assert_close(weight(scoped.merge_and_unload()), expected)


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("kind", ["dora", "rslora"])
def test_variants_of_lora_move_adapters_only(family: str, kind: str) -> None:
    """In the asked layers."""
    changed = moved(family, LoraScope(rank=2, layers="1-2", dora=kind == "dora", rslora=kind == "rslora"))
    assert all("lora_" in name for name in changed)
    assert any("magnitude" in name for name in changed) == (kind == "dora")
    assert {part for name in changed for part in name.split(".") if part.isdigit()} == {"1", "2"}


def test_lora_trains_while_activations_are_recomputed() -> None:
    """Gradients of B are those without recomputing, and not zero; a layer begins twice.

    With frozen embeddings nothing before the first adapter asks for a gradient, and checkpoints of PyTorch's older kind
    would cut the graph there: B, which starts at zero, would stay there without a word.
    """
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        scoped = LoraScope(rank=2).apply(tiny_model("llama"), None)
        if recompute:
            checkpoint_gradients(scoped)
        scoped.train()
        runs: list[int] = []
        # The second run ends as soon as all that was not kept is there again, so its start is what is seen.
        mlp = scoped.get_submodule("base_model.model.model.layers.0.mlp")
        mlp.register_forward_pre_hook(lambda *_, seen=runs: seen.append(1))
        ids = torch.arange(3, 23).reshape(2, 10)
        scoped(input_ids=ids, labels=ids).loss.backward()
        assert len(runs) == 1 + recompute
        gradients.append({name: p.grad for name, p in scoped.named_parameters() if "lora_B" in name})
    assert len(gradients[0]) == 2 * 4
    for name, gradient in gradients[1].items():
        assert gradient is not None
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[0][name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_adapters_moved_to_another_copy_of_the_weights(dora: bool, dtype: torch.dtype) -> None:
    """Merged there they give the same weights but for their rounding, other than those without adapters."""
    scoped, _ = adapted(LoraScope(rank=4, alpha=6.0, targets=["up"], dora=dora))
    moved_there = adapters_moved_to(tiny_model("llama").to(dtype), scoped)
    assert isinstance(moved_there, PeftModel)
    there, here = weight(moved_there.merge_and_unload()), weight(scoped.merge_and_unload())
    assert there.dtype is dtype
    # The weight is rounded to 8 bits, what the adapter adds to it and their sum again.
    rounding = {"rtol": 2**-7, "atol": 2**-7} if dtype is torch.bfloat16 else {}
    torch.testing.assert_close(there.float(), here, **rounding)
    assert not torch.allclose(here, weight(tiny_model("llama")), atol=1e-2)


def test_adapters_are_found_in_models_that_have_them_only() -> None:
    """And no ordinary model is in 4 bits."""
    with pytest.raises(TypeError, match="LlamaForCausalLM has no adapters"):
        adapters_moved_to(tiny_model("llama"), tiny_model("llama"))
    assert not in_4_bits(LoraScope(rank=2).apply(tiny_model("llama"), None))


def test_lora_target_that_the_model_lacks() -> None:
    """GPT-2 has no gate."""
    with pytest.raises(InputError, match=r"scope.targets=gate: not in layer 0.*q, k, v, o, up, down"):
        moved("gpt2", LoraScope(targets=["gate"]))


def test_traced_layers_beyond_the_model() -> None:
    """A layers.json of a deeper model."""
    with pytest.raises(InputError, match="layer 9"):
        moved("olmo", TracedScope(), [9])
