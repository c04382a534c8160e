"""Adapters: what they add to a weight, by hand, and that nothing else moves."""

import json
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tests.scopes.moved import moved
from tests.tiny_models import tiny_model
from unlearning.errors import InputError
from unlearning.scopes.adapters import LoraScope, adapters_moved_to, in_4_bits, save_adapters
from unlearning.training.gradient_checkpointing import checkpoint_gradients


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox", "mistral"])
def test_lora(family: str) -> None:
    """Only adapters move, in the asked layers, whatever the architecture calls its layers."""
    changed = moved(family, LoraScope(rank=2, alpha=4.0, layers="1-2"))
    assert all("lora_" in name for name in changed)
    assert {part for name in changed for part in name.split(".") if part.isdigit()} == {"1", "2"}


def test_peft_finds_the_base_model_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base model that was named by a path from the working folder is written with its whole path."""
    tiny_model("llama").save_pretrained(tmp_path / "here" / "base")
    monkeypatch.chdir(tmp_path / "here")
    scoped = LoraScope(rank=2).apply(AutoModelForCausalLM.from_pretrained("./base"), None)
    assert isinstance(scoped, PeftModel)
    save_adapters(scoped, tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    tokens = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
        assert torch.equal(loaded.eval()(tokens).logits, scoped.eval()(tokens).logits)


def test_a_repository_is_named_with_its_commit(tmp_path: Path) -> None:
    model = tiny_model("llama")
    model.name_or_path, model.config._commit_hash = "owner/name", "0" * 40
    scoped = LoraScope(rank=2).apply(model, None)
    assert isinstance(scoped, PeftModel)
    save_adapters(scoped, tmp_path)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (written["base_model_name_or_path"], written["revision"]) == ("owner/name", "0" * 40)


UP = "model.layers.1.mlp.up_proj"


def adapted(scope: LoraScope) -> tuple[PeftModel, dict[str, Tensor]]:
    """Return a tiny model whose adapters are no longer zero, and the parts of the adapter on `UP`."""
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
    """Return the weight of the module `UP`."""
    found = model.get_submodule(UP).weight
    assert isinstance(found, Tensor)
    return found.detach()


@pytest.mark.parametrize(("rslora", "factor"), [(False, 6.0 / 4), (True, 6.0 / 2)], ids=["lora", "rslora"])
def test_what_an_adapter_adds(rslora: bool, factor: float) -> None:
    """It adds alpha / rank = 6 / 4 = 1.5, or alpha / sqrt(rank) = 6 / 2 = 3, times B @ A."""
    scoped, parts = adapted(LoraScope(rank=4, alpha=6.0, targets=["up"], rslora=rslora))
    added = parts["lora_B.default.weight"] @ parts["lora_A.default.weight"]
    merged = weight(scoped.merge_and_unload())
    torch.testing.assert_close(merged, weight(tiny_model("llama")) + factor * added)


def test_what_a_dora_adapter_makes_of_a_weight() -> None:
    """It is m * V / |V|, V = W + alpha / rank * B @ A, with a length for each output; m begins as the length of W."""
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
    """Only adapters in the named layers move."""
    changed = moved(family, LoraScope(rank=2, layers="1-2", dora=kind == "dora", rslora=kind == "rslora"))
    assert all("lora_" in name for name in changed)
    assert any("magnitude" in name for name in changed) == (kind == "dora")
    assert {part for name in changed for part in name.split(".") if part.isdigit()} == {"1", "2"}


def test_lora_trains_while_activations_are_recomputed() -> None:
    """The gradients of B are those without recomputing, and not zero; a layer is begun twice.

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
    """Merged there, they give the same weights but for rounding."""
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
    """A model without adapters is refused, and an ordinary model is not in 4 bits."""
    with pytest.raises(TypeError, match="LlamaForCausalLM has no adapters"):
        adapters_moved_to(tiny_model("llama"), tiny_model("llama"))
    assert not in_4_bits(LoraScope(rank=2).apply(tiny_model("llama"), None))


def test_lora_target_that_the_model_lacks() -> None:
    """GPT-2 has no gate, and the error says so."""
    with pytest.raises(InputError, match=r"scope.targets=gate: not in layer 0.*q, k, v, o, up, down"):
        moved("gpt2", LoraScope(targets=["gate"]))
