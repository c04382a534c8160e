"""Freeze proofs: after a step exactly the scope has moved."""

import pytest
import torch

from tests.tiny_models import tiny_model
from unlearning.config import ModuleKind
from unlearning.errors import InputError
from unlearning.scope import AllScope, BlocksScope, LoraScope, Scope, TracedScope, parse_blocks, trainable_names

DEPTH = 4


@pytest.mark.parametrize(
    ("text", "blocks"),
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
def test_parse_blocks(text: str, blocks: list[int]) -> None:
    """Every accepted form."""
    assert parse_blocks(text, 8) == blocks


@pytest.mark.parametrize("text", ["", "x", "0-8", "8", "9:", "3-1", "1-2-3", "4:4", "0,,1", "1:2:3", "-1"])
def test_parse_blocks_refuses(text: str) -> None:
    """What is malformed, empty or outside the model."""
    with pytest.raises(InputError, match=r"scope\.blocks"):
        parse_blocks(text, 8)


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


def test_mlp_of_two_blocks() -> None:
    """Names are exact."""
    expected = {f"model.layers.{b}.mlp.{n}_proj.weight" for b in (0, 1) for n in ("gate", "up", "down")}
    assert moved("olmo", BlocksScope("0-1")) == expected


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox"])
def test_last_blocks_whole(family: str) -> None:
    """Last-k in four families: nothing outside the last two blocks moves, everything inside does."""
    changed = moved(family, BlocksScope("-2:", [ModuleKind.block]))
    assert changed
    assert all(".2." in name or ".3." in name for name in changed)


def test_attention_only() -> None:
    """MLPs stay."""
    changed = moved("llama", BlocksScope("1", [ModuleKind.attention]))
    assert changed == {f"model.layers.1.self_attn.{n}_proj.weight" for n in "qkvo"}


def test_embeddings_and_head() -> None:
    """AILS-NTUA's first notebook leaves both trainable."""
    changed = moved("olmo", BlocksScope("3", [ModuleKind.block], embeddings=True, head=True))
    assert {"model.embed_tokens.weight", "lm_head.weight"} <= changed
    assert not any("layers.0" in name for name in changed)


def test_tied_embeddings_move_together_or_not_at_all() -> None:
    """One matrix cannot be frozen and free."""
    with pytest.raises(InputError, match="ties"):
        moved("gpt2", BlocksScope("3", [ModuleKind.block], embeddings=True, head=False))


def test_traced() -> None:
    """What the trace chose, upper blocks frozen."""
    changed = moved("olmo", TracedScope(), [1, 2])
    assert {name.split(".")[2] for name in changed} == {"1", "2"}
    assert all(".mlp." in name for name in changed)


def test_all() -> None:
    """Everything moves."""
    model = tiny_model("olmo", num_hidden_layers=DEPTH)
    assert moved("olmo", AllScope()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("family", ["olmo", "llama", "gpt2", "gpt_neox", "mistral"])
def test_lora(family: str) -> None:
    """Only adapters move, in the asked blocks, whatever the architecture calls its layers."""
    changed = moved(family, LoraScope(rank=2, alpha=4.0, blocks="1-2"))
    assert all("lora_" in name for name in changed)
    assert {part for name in changed for part in name.split(".") if part.isdigit()} == {"1", "2"}


def test_lora_target_that_the_model_lacks() -> None:
    """GPT-2 has no gate."""
    with pytest.raises(InputError, match=r"scope.targets=gate: not in block 0.*q, k, v, o, up, down"):
        moved("gpt2", LoraScope(targets=["gate"]))


def test_traced_blocks_beyond_the_model() -> None:
    """A layers.json of a deeper model."""
    with pytest.raises(InputError, match="block 9"):
        moved("olmo", TracedScope(), [9])
